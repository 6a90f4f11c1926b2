import * as l10n from '@vscode/l10n';
import {
    CodeActionKind, Location, LSPErrorCodes, ResponseError, type CancellationToken, type CodeAction, type CodeActionParams, type Connection, type Diagnostic, type LocationLink, type Range,
} from 'vscode-languageserver/node';
import { paretoCommand, paretoEditsRequest, paretoPointsRequest, type ParetoEditsParams, type RecipeParams } from '../protocol/language';
import { codeActions, FIX_ALL, fixAll } from './actions';
import { definitions, type Definition } from './definition';
import type { Facts } from './facts';
import type { Finding } from './finding';
import { format } from './format';
import { indentNewLine } from './on-type';
import { paretoChoices, paretoEdits } from './pareto';
import { offsetAt, positionOf, rangeOf } from './positions';
import { placeAt, type Recipe, type Span } from './recipe';
import { occurrencesAt } from './references';
import { rename, renameable, RenameError } from './rename';
import { selectionRange } from './selection';
import { encodeTokens, semanticTokens } from './semantic';

/** What requests are answered from. */
export interface Answering {
    readonly connection: Connection;
    /** null: there is no such document. Throws when the request was cancelled. */
    answer<T>(uri: string, token: CancellationToken, read: (recipe: Recipe) => T): T | null;
    facts(uri: string, recipe: Recipe): Facts;
    findings(uri: string, recipe: Recipe): Finding[];
    diagnostic(uri: string, recipe: Recipe, finding: Finding): Diagnostic;
    /** URI to open for a path of the recipe; undefined where there is nothing. */
    target(uri: string, path: string, format: string): string | undefined;
    /** URI of a file of a run's folder. */
    runFile(folder: string): string;
    /** Whether the editor shows what of a name is underlined, and has the command that asks for a point of the front. */
    can(): { readonly links: boolean; readonly choosePoint: boolean };
}

/** Points that an editor without a command of its own can take straight from the list of actions. */
const MOST_POINTS = 6;

export function answerEditing(answering: Answering): void {
    const { connection } = answering;
    connection.onDocumentFormatting(({ textDocument: { uri } }, token) => answering.answer(uri, token, (recipe) => format(recipe)));
    connection.onDocumentRangeFormatting(({ textDocument: { uri }, range }, token) => answering.answer(uri, token, (recipe) => format(recipe, spanOf(recipe, range))));
    connection.onDocumentOnTypeFormatting(({ textDocument: { uri }, position }, token) => answering.answer(uri, token, (recipe) => indentNewLine(recipe, offsetAt(recipe.text, position))));
    connection.onSelectionRanges(({ textDocument: { uri }, positions }, token) =>
        answering.answer(uri, token, (recipe) => positions.map((position) => selectionRange(recipe, offsetAt(recipe.text, position)))),
    );
    connection.languages.semanticTokens.on(({ textDocument: { uri } }, token) => ({
        data: answering.answer(uri, token, (recipe) => encodeTokens(recipe, semanticTokens(recipe, answering.facts(uri, recipe)))) ?? [],
    }));
    connection.languages.semanticTokens.onRange(({ textDocument: { uri }, range }, token) => ({
        data: answering.answer(uri, token, (recipe) => encodeTokens(recipe, semanticTokens(recipe, answering.facts(uri, recipe), spanOf(recipe, range)))) ?? [],
    }));
    connection.onCodeAction((params, token) => answering.answer(params.textDocument.uri, token, (recipe) => actionsFor(answering, recipe, params)));
    connection.onRequest(paretoPointsRequest, ({ uri }: RecipeParams, token: CancellationToken) => answering.answer(uri, token, (recipe) => paretoChoices(recipe, answering.facts(uri, recipe))));
    connection.onRequest(paretoEditsRequest, ({ uri, point }: ParetoEditsParams, token: CancellationToken) =>
        answering.answer(uri, token, (recipe) => paretoEdits(recipe, answering.facts(uri, recipe), point)?.map(({ start, end, text }) => ({ range: rangeOf(recipe, { start, end }), newText: text })) ?? null),
    );
}

export function answerNames(answering: Answering): void {
    const { connection } = answering;
    connection.onDefinition(({ textDocument: { uri }, position }, token) =>
        answering.answer(uri, token, (recipe): LocationLink[] | Location[] => {
            const found = definitions(recipe, offsetAt(recipe.text, position), answering.facts(uri, recipe).result);
            const targets = (found?.targets ?? []).flatMap((target) => locate(answering, uri, recipe, target));
            if (!found || !answering.can().links) return targets;
            const originSelectionRange = rangeOf(recipe, found.origin);
            return targets.map(({ uri: targetUri, range }) => ({ originSelectionRange, targetUri, targetRange: range, targetSelectionRange: range }));
        }),
    );
    connection.onReferences(({ textDocument: { uri }, position, context }, token) =>
        answering.answer(uri, token, (recipe) => {
            const found = occurrencesAt(recipe, offsetAt(recipe.text, position));
            const spans = (found?.spans ?? []).filter((span) => context.includeDeclaration || !found!.definitions.some(({ start }) => start === span.start));
            return spans.map((span) => Location.create(uri, rangeOf(recipe, span)));
        }),
    );
    connection.onDocumentHighlight(({ textDocument: { uri }, position }, token) =>
        answering.answer(uri, token, (recipe) => (occurrencesAt(recipe, offsetAt(recipe.text, position))?.spans ?? []).map((span) => ({ range: rangeOf(recipe, span) }))),
    );
    connection.onPrepareRename(({ textDocument: { uri }, position }, token) =>
        answering.answer(uri, token, (recipe) => {
            const found = renameable(recipe, offsetAt(recipe.text, position));
            return found ? { range: rangeOf(recipe, found.span), placeholder: found.label } : null;
        }),
    );
    connection.onRenameRequest(({ textDocument: { uri }, position, newName }, token) =>
        answering.answer(uri, token, (recipe) => {
            try {
                return { changes: { [uri]: rename(recipe, offsetAt(recipe.text, position), newName) } };
            } catch (error) {
                if (error instanceof RenameError) throw new ResponseError(LSPErrorCodes.RequestFailed, error.message);
                throw error;
            }
        }),
    );
}

function locate(answering: Answering, uri: string, recipe: Recipe, target: Definition): Location[] {
    if (target.kind === 'here') return [Location.create(uri, rangeOf(recipe, target.span))];
    if (target.kind === 'run') {
        const { lines } = target.ran;
        return [Location.create(answering.runFile(target.folder), { start: positionOf(lines, target.span.start), end: positionOf(lines, target.span.end) })];
    }
    const file = answering.target(uri, target.path, target.format);
    const start = { line: 0, character: 0 };
    return file === undefined ? [] : [Location.create(file, { start, end: start })];
}

function actionsFor(answering: Answering, recipe: Recipe, { textDocument: { uri }, range, context: { only } }: CodeActionParams): CodeAction[] {
    const isWanted = (kind: string): boolean => (only ? only.some((asked) => kind === asked || kind.startsWith(`${asked}.`)) : !kind.startsWith(CodeActionKind.Source));
    const findings = answering.findings(uri, recipe);
    const facts = answering.facts(uri, recipe);
    const span = spanOf(recipe, range);
    const all = isWanted(FIX_ALL) ? fixAll(recipe, uri, findings) : undefined;
    const actions = codeActions(recipe, uri, findings, span, (finding) => answering.diagnostic(uri, recipe, finding), facts);
    return [...actions, ...pointActions(answering, recipe, uri, span, facts), ...(all ? [all] : [])].filter(({ kind }) => isWanted(kind ?? ''));
}

function pointActions(answering: Answering, recipe: Recipe, uri: string, span: Span, facts: Facts): CodeAction[] {
    const section = placeAt(recipe.root, ['quantize']);
    const isThere = section?.key && section.key.start <= span.end && span.start <= section.span.end;
    const choices = isThere ? paretoChoices(recipe, facts) : [];
    if (choices.length === 0) return [];
    const title = l10n.t('Replace rules by Pareto point…');
    if (answering.can().choosePoint) return [{ title, kind: CodeActionKind.RefactorRewrite, command: { title, command: paretoCommand, arguments: [uri] } }];
    const step = Math.max(1, (choices.length - 1) / (MOST_POINTS - 1));
    const few = [...new Set(Array.from({ length: Math.min(MOST_POINTS, choices.length) }, (_, index) => Math.round(index * step)))];
    return few.flatMap((index): CodeAction[] => {
        const { number, label } = choices[index]!;
        const edits = paretoEdits(recipe, facts, number);
        const changes = edits?.map(({ start, end, text }) => ({ range: rangeOf(recipe, { start, end }), newText: text }));
        return changes ? [{ title: l10n.t('Replace rules: {0}', label), kind: CodeActionKind.RefactorRewrite, edit: { changes: { [uri]: changes } } }] : [];
    });
}

export function spanOf(recipe: Recipe, range: Range): Span {
    return { start: offsetAt(recipe.text, range.start), end: offsetAt(recipe.text, range.end) };
}
