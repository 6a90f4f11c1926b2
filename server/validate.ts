import type { Facts } from './facts';
import { WrongPlaces, type Finding } from './finding';
import type { Recipe, Span } from './recipe';
import { worldFindings } from './validate-world';
import { schemaFindings } from './validate-schema';
import { fixedGroupFindings } from './validate-sizes';

/** Everything that docs/diagnostics.md knows about a recipe, as far as the facts go, in document order. */
export function validate(recipe: Recipe, facts: Facts): Finding[] {
    const syntax = syntaxFindings(recipe);
    const schema = [...schemaFindings(recipe), ...fixedGroupFindings(recipe)];
    const world = worldFindings(recipe, facts, new WrongPlaces(schema));
    const end = trustedUntil(recipe, syntax);
    const rest = [...schema, ...world].filter(({ code, span }) => span.end <= end && (code !== 'missing-key' || syntax.length === 0));
    return distinct([...syntax, ...rest]).sort((a, b) => a.span.start - b.span.start);
}

/** What stands once and is used through aliases is wrong once. */
function distinct(findings: readonly Finding[]): Finding[] {
    const identity = ({ code, message, span }: Finding): string => `${code} ${span.start} ${message}`;
    return [...new Map(findings.map((finding) => [identity(finding), finding])).values()];
}

/** The first error of each line: later ones are mostly echoes of it. */
function syntaxFindings(recipe: Recipe): Finding[] {
    const lines = new Set<number>();
    const findings: Finding[] = [];
    for (const error of recipe.errors) {
        const { span, message } = describe(recipe, error.code, error.message, { start: error.pos[0], end: error.pos[1] });
        const line = recipe.lines.linePos(span.start).line;
        if (!lines.has(line)) findings.push({ code: 'yaml-syntax', severity: 'error', span, message });
        lines.add(line);
    }
    return findings;
}

/** The parser's own sentence, but for its most frequent and least helpful one, and the place where a person would look. */
function describe(recipe: Recipe, code: string, message: string, span: Span): { span: Span; message: string } {
    if (code === 'MULTIPLE_DOCS') return { span: clip(recipe, span), message: 'a recipe is one document; another one starts here' };
    if (code !== 'BLOCK_AS_IMPLICIT_KEY' && code !== 'MULTILINE_IMPLICIT_KEY') return { span: clip(recipe, span), message };
    const multiline = recipe.errors.find((error) => error.code === 'MULTILINE_IMPLICIT_KEY' && error.pos[0] === span.start);
    const written = recipe.text.slice(span.start, multiline?.pos[1] ?? span.end);
    const [, indent = '', key = ''] = /\n([ \t]*)([^\n]*)$/.exec(written) ?? [];
    if (!key) return { span: clip(recipe, span), message };
    const start = span.start + written.length - key.length;
    const sentence = `wrong indentation: ${JSON.stringify(key)} stands ${indent.length} columns deep, below a key that has its value already`;
    return { span: { start, end: start + key.length }, message: sentence };
}

/** At least one character, inside the text, and on one line. */
function clip({ text }: Recipe, { start, end }: Span): Span {
    const newline = text.slice(start, end).search(/[\r\n]/);
    const lineEnd = newline > 0 ? start + newline : Math.max(end, start + 1);
    return start >= text.length ? { start: Math.max(0, text.length - 1), end: text.length } : { start, end: Math.min(lineEnd, text.length) };
}

/**
 * Up to where the tree says what was meant: the last key at the top before the first syntax error. What the parser made of the text behind is a
 * guess, and a key that is missing may well be there.
 */
function trustedUntil({ root, text }: Recipe, syntax: readonly Finding[]): number {
    const error = Math.min(...syntax.map(({ span }) => span.start));
    if (error > text.length) return text.length;
    return Math.max(0, ...root.children.map(({ key }) => key?.start ?? 0).filter((start) => start < error));
}
