import type { Facts } from './facts';
import { WrongPlaces, type Finding } from './finding';
import { placeAt, type Recipe, type Span } from './recipe';
import { soundPart, type Sound } from './sound';
import { worldFindings } from './validate-world';
import { schemaFindings } from './validate-schema';
import { fixedGroupFindings } from './validate-sizes';

/** Everything that docs/diagnostics.md knows about a recipe, as far as its text can be read and the facts go, in document order. */
export function validate(recipe: Recipe, facts: Facts): Finding[] {
    const sound = soundPart(recipe);
    const schema = [...schemaFindings(sound.recipe), ...fixedGroupFindings(sound.recipe)];
    const world = worldFindings(sound.recipe, facts, new WrongPlaces(schema));
    const rest = recipe.errors.length === 0 ? [...schema, ...world] : [...schema, ...world].filter((finding) => isCertain(finding, sound));
    return distinct([...syntaxFindings(recipe), ...rest]).sort((a, b) => a.span.start - b.span.start);
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

/** Whether a finding stays true whatever the part says that cannot be read. */
function isCertain({ code, span, path }: Finding, { recipe, broken }: Sound): boolean {
    // The rules or candidates that are missing may change what becomes of every layer.
    if (code === 'budget-unreachable' || code === 'fused-layers' || code === 'rule-shadowed') return false;
    const isCut = broken.some(({ start, end }) => start <= span.start && span.start < end);
    const isAboutWhole = code === 'missing-key' && (path?.length ?? 0) <= 1;
    if (isAboutWhole || (isCut && (code === 'missing-key' || code === 'group-size'))) return false;
    const place = code === 'wrong-type' && path ? placeAt(recipe.root, path) : undefined;
    const isAlias = recipe.text[span.start] === '*';
    // A word where a mapping belongs is a key that is being typed.
    const isHalfKey = place?.kind === 'text' && !place.quoted && place.slot?.alternatives.some(({ kind }) => kind === 'mapping');
    return !((place?.kind === 'nothing' && (isCut || isAlias)) || (isHalfKey && isCut));
}
