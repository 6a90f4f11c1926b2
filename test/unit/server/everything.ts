import { codeActions, fixAll } from '../../../server/actions';
import { complete, folderWanted } from '../../../server/complete';
import { definitions } from '../../../server/definition';
import { diagnostic } from '../../../server/diagnostic';
import type { Facts } from '../../../server/facts';
import { format } from '../../../server/format';
import { hover } from '../../../server/hover';
import { inlayHints } from '../../../server/inlay';
import { codeLenses } from '../../../server/lens';
import { indentNewLine } from '../../../server/on-type';
import { offsetAt, rangeOf } from '../../../server/positions';
import { rename, renameable, RenameError } from '../../../server/rename';
import { selectionRange } from '../../../server/selection';
import { semanticTokens } from '../../../server/semantic';
import type { Recipe } from '../../../server/recipe';
import { documentLinks, documentSymbols, foldingRanges } from '../../../server/structure';
import { validate } from '../../../server/validate';
import { recipe } from './fixture';

const URI = 'file:///r';

/** Everything the server can be asked about a text, with the cursor where an editor would say that an offset is. Throws when a position of an answer lies outside the text. */
export function askEverything(text: string, near: number, known: Facts): void {
    const parsed = recipe(text);
    const offset = offsetAt(text, rangeOf(parsed, { start: near, end: near }).start);
    const findings = validate(parsed, known);
    const shown = findings.map((finding) => diagnostic(parsed, URI, finding, ''));
    folderWanted(parsed, offset);
    const answers = {
        diagnostics: shown.map(({ range, relatedInformation }) => ({ range, related: relatedInformation?.filter(({ location }) => location.uri === URI) })),
        actions: codeActions(parsed, URI, findings, { start: 0, end: text.length }, (finding) => diagnostic(parsed, URI, finding, ''), known).map(({ edit }) => edit),
        fixAll: fixAll(parsed, URI, findings)?.edit,
        completion: complete(parsed, offset, known),
        hover: hover(parsed, offset, known),
        hints: inlayHints(parsed, known),
        lenses: codeLenses(URI, known),
        symbols: documentSymbols(parsed),
        folding: foldingRanges(parsed),
        links: documentLinks(parsed, () => URI, { name: 'run', uri: URI }),
        format: format(parsed),
        onType: indentNewLine(parsed, offset),
        selection: selectionRange(parsed, offset),
        renamed: renamed(parsed, offset),
        tokens: semanticTokens(parsed, known).map((token) => rangeOf(parsed, token)),
        definition: definedHere(parsed, offset),
    };
    const lines = text.split(/\r\n|\r|\n/);
    for (const [feature, answer] of Object.entries(answers)) checkPositions(answer, feature, lines);
}

function renamed(parsed: Recipe, offset: number): unknown {
    const found = renameable(parsed, offset);
    if (!found) return undefined;
    try {
        return [rangeOf(parsed, found.span), rename(parsed, offset, 'awq-w4a16')];
    } catch (error) {
        if (error instanceof RenameError) return undefined;
        throw error;
    }
}

function definedHere(parsed: Recipe, offset: number): unknown {
    const found = definitions(parsed, offset, undefined);
    return found && [rangeOf(parsed, found.origin), ...found.targets.map((target) => (target.kind === 'here' ? rangeOf(parsed, target.span) : undefined))];
}

/** Every position, range and folded line inside an answer, however deep. Throws when one is outside the text or ends before it begins. */
export function checkPositions(answer: unknown, feature: string, lines: readonly string[]): void {
    if (Array.isArray(answer)) for (const item of answer) checkPositions(item, feature, lines);
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return;
    const { line, character, start, end, startLine, endLine } = answer as Record<string, unknown>;
    const isInside = (row: unknown): row is number => typeof row === 'number' && 0 <= row && row < lines.length;
    const fail = (): never => { throw new Error(`${feature}: ${JSON.stringify(answer)} is outside a text of ${lines.length} lines`); };
    if (typeof character === 'number' && !(isInside(line) && 0 <= character && character <= lines[line]!.length)) fail();
    if (startLine !== undefined && !(isInside(startLine) && isInside(endLine) && startLine <= endLine)) fail();
    if (isPosition(start) && isPosition(end) && (start.line > end.line || (start.line === end.line && start.character > end.character))) fail();
    for (const value of Object.values(answer)) checkPositions(value, feature, lines);
}

function isPosition(value: unknown): value is { readonly line: number; readonly character: number } {
    return typeof value === 'object' && value !== null && 'line' in value && 'character' in value;
}
