import { isDeepStrictEqual } from 'node:util';
import * as l10n from '@vscode/l10n';
import { CodeActionKind, type CodeAction, type Diagnostic, type TextEdit } from 'vscode-languageserver/node';
import { addition, removal } from './entries';
import type { Edit } from './edited';
import { NO_FACTS, type Facts } from './facts';
import type { Finding } from './finding';
import { guesses } from './guesses';
import { modelFixes } from './model-fixes';
import { movedRule } from './move-rule';
import { patternFixes } from './pattern-fixes';
import { rangeOf } from './positions';
import { MERGE, writtenOut } from './merge-keys';
import { childNamed, placeAt, plainValue, type Place, type Recipe, type Span } from './recipe';
import { exclusion, ruleAt, splitRule, type Change } from './refactor';
import { soundPart } from './sound';
import { withoutSecrets } from './validate-secrets';

/** Everything that means the same afterwards, or what can only have been meant. */
export const FIX_ALL = `${CodeActionKind.SourceFixAll}.quant`;

/** Quick fixes for the findings that touch a span, of each the best one preferred unless it is a judgement, and rewritings. `diagnosticOf`: what the editor was shown. */
export function codeActions(
    recipe: Recipe,
    uri: string,
    findings: readonly Finding[],
    span: Span,
    diagnosticOf: (finding: Finding) => Diagnostic,
    facts: Facts = NO_FACTS,
): CodeAction[] {
    const action = ({ title, edits }: Change, kind: string): CodeAction => ({ title: withoutSecrets(recipe, title), kind, edit: { changes: { [uri]: textEdits(recipe, edits) } } });
    const touched = findings.filter((finding) => finding.span.start <= span.end && span.start <= finding.span.end);
    const fixes = touched.flatMap((finding) => {
        const changes = [...fixesFor(recipe, finding), ...modelFixes(recipe, finding, facts), ...patternFixes(recipe, finding, facts), ...exclusion(recipe, finding, facts)];
        return changes.map((change, index): CodeAction => ({
            ...action(change, CodeActionKind.QuickFix), diagnostics: [diagnosticOf(finding)], isPreferred: index === 0 && !change.isJudgement ? true : undefined,
        }));
    });
    return [...fixes, ...splitRule(recipe, span, facts).map((change) => action(change, CodeActionKind.RefactorRewrite))];
}

/** The fixes that need nobody's judgement, as one action; undefined: there are none. */
export function fixAll(recipe: Recipe, uri: string, findings: readonly Finding[]): CodeAction | undefined {
    const edits: Edit[] = [];
    for (const finding of findings) {
        const [first] = isSafe(recipe, finding) ? fixesFor(recipe, finding) : [];
        const isApart = first?.edits.every((edit) => edits.every((other) => other.end <= edit.start || edit.end <= other.start));
        if (first && isApart) edits.push(...first.edits);
    }
    if (edits.length === 0) return undefined;
    return { title: l10n.t('Fix what is certain'), kind: FIX_ALL, edit: { changes: { [uri]: textEdits(recipe, edits) } } };
}

function textEdits(recipe: Recipe, edits: readonly Edit[]): TextEdit[] {
    return [...edits].sort((a, b) => a.start - b.start).map(({ start, end, text }) => ({ range: rangeOf(recipe, { start, end }), newText: text }));
}

/**
 * A number without its quotes, a pattern with them, the keys that a merge key was meant to bring, a name in the right case, a key by its new name; a candidate that is listed twice goes.
 * A name that is only near, one of two values for a key, or whether a rule that decides nothing should go or come first, is somebody's choice.
 */
function isSafe(recipe: Recipe, finding: Finding): boolean {
    const { code, span, replacements = [], unquoted } = finding;
    if (unquoted !== undefined || code === 'duplicate-candidate' || isBareAlias(recipe, finding) || isRenamedKey(recipe, finding)) return true;
    if (mergeEdit(recipe, finding)) return true;
    const written = recipe.text.slice(span.start, span.end).replace(/^["']|["']$/g, '');
    return (code === 'unknown-key' || code === 'unknown-value') && replacements.length === 1 && replacements[0]!.toLowerCase() === written.toLowerCase();
}

/** Of a key that merges nothing. */
function mergeEdit(recipe: Recipe, { code, path }: Finding): Edit | undefined {
    if (code !== 'unknown-key' || path?.at(-1) !== MERGE) return undefined;
    const sound = soundPart(recipe).recipe;
    const merge = placeAt(sound.root, path);
    return merge && writtenOut(sound, merge);
}

function fixesFor(recipe: Recipe, finding: Finding): Change[] {
    const { missing, unquoted, span, code } = finding;
    const guessed = guesses(recipe, finding) ?? { texts: finding.replacements ?? [], isLikely: true };
    const changes = guessed.texts.map((text) => replacement(recipe, finding, text, !guessed.isLikely));
    const change = (title: string, edit: Edit | undefined, isJudgement = false): void => {
        if (edit) changes.push({ title, edits: [edit], isJudgement });
    };
    if (unquoted !== undefined) change(l10n.t('Change to {0}', unquoted), { ...span, text: unquoted });
    change(l10n.t('Write out the merged keys'), mergeEdit(recipe, finding));
    for (const key of missing?.keys ?? []) change(l10n.t('Add "{0}"', key), addition(recipe, missing!.owner, key));
    if (code === 'calibration-missing' && !childNamed(soundPart(recipe).recipe.root, 'calibration')) change(l10n.t('Add "{0}"', 'calibration'), addition(recipe, soundPart(recipe).recipe.root, 'calibration'));
    changes.push(...movedRule(recipe, finding));
    const removable = finding.removable ?? (code === 'rule-shadowed' ? ruleAt(soundPart(recipe).recipe, finding) : undefined);
    if (removable) change(l10n.t('Remove "{0}"', nameOf(recipe, removable)), removal(recipe, removable), !losesNothing(finding));
    if (isBareAlias(recipe, finding)) {
        const text = `"${recipe.text.slice(span.start, span.end)}"`;
        change(l10n.t('Change to {0}', text), { ...span, text });
    }
    return changes;
}

/** Whether what is removed stands elsewhere with the same meaning. */
function losesNothing({ code, removable }: Finding): boolean {
    if (code === 'duplicate-candidate' || code === 'layers-repeated') return true;
    const first = code === 'duplicate-key' && removable?.parent && childNamed(removable.parent, removable.key?.name ?? '');
    return Boolean(first && removable && isDeepStrictEqual(plainValue(first), plainValue(removable)));
}

/** A deprecated key whose place another one took. */
function isRenamedKey(recipe: Recipe, { span, replacements }: Finding): boolean {
    const place = recipe.places.find(({ key }) => key?.start === span.start && key.end === span.end);
    return replacements?.length === 1 && place?.slot?.deprecated === true;
}

/** A pattern that YAML takes for an alias. */
function isBareAlias(recipe: Recipe, { code, span }: Finding): boolean {
    return code === 'yaml-syntax' && recipe.text[span.start] === '*';
}

function replacement(recipe: Recipe, { span }: Finding, text: string, isJudgement: boolean): Change {
    const written = recipe.text.slice(span.start, span.end);
    const quote = /^["']/.exec(written)?.[0] ?? (/^[*&!|>%@`]/.test(text) ? '"' : '');
    return { title: l10n.t('Change to {0}', quote ? `"${text}"` : text), edits: [{ ...span, text: quote + text + quote }], isJudgement };
}

/** One line that fits into a menu. */
function nameOf({ text }: Recipe, { key, span }: Place): string {
    const line = key?.name ?? text.slice(span.start, span.end).replace(/\s+/g, ' ');
    return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}
