import * as l10n from '@vscode/l10n';
import { lineEnd, removal } from './entries';
import { edited, type Edit } from './edited';
import type { Finding } from './finding';
import { rulePlaces } from './layers';
import { parseRecipe, type Place, type Recipe, type Span } from './recipe';
import { ruleAt, type Change } from './refactor';
import { soundPart } from './sound';

/** Puts a rule that decides nothing above the first of those that have its layers, with the comment above it. */
export function movedRule(recipe: Recipe, finding: Finding): Change[] {
    const sound = soundPart(recipe).recipe;
    if (finding.code !== 'rule-shadowed' || sound !== recipe) return [];
    const rules = rulePlaces(recipe);
    const rule = ruleAt(recipe, finding);
    const before = (finding.related ?? []).flatMap((one) => ('span' in one ? [rules.findIndex(({ span }) => span.start <= one.span.start && one.span.end <= span.end)] : []));
    const index = Math.min(...before.filter((found) => found >= 0));
    const target = rules[index];
    if (!rule || !target) return [];
    const edits = rule.parent?.flow ? flowEdits(recipe, rule, target) : blockEdits(recipe, rule, target);
    return isMoved(recipe, edits, rules.indexOf(rule), index) ? [{ title: l10n.t('Move above rule {0}', index + 1), edits, isJudgement: true }] : [];
}

function flowEdits(recipe: Recipe, rule: Place, target: Place): Edit[] {
    const at = target.span.start;
    return [{ start: at, end: at, text: `${recipe.text.slice(rule.span.start, rule.span.end)}, ` }, removal(recipe, rule)];
}

function blockEdits({ text }: Recipe, rule: Place, target: Place): Edit[] {
    const moved = linesOf(text, rule);
    const at = linesOf(text, target).start;
    return [{ start: at, end: at, text: text.slice(moved.start, moved.end).replace(/\r?\n$/, '') + lineEnd(text) }, { ...moved, text: '' }];
}

/** The lines of an entry in block style, with those of the comment right above it. */
function linesOf(text: string, { dash, span }: Place): Span {
    let start = text.lastIndexOf('\n', (dash ?? span).start - 1) + 1;
    for (;;) {
        const above = text.lastIndexOf('\n', start - 2) + 1;
        if (start === 0 || !/^[ \t]*#/.test(text.slice(above, start))) break;
        start = above;
    }
    return { start, end: span.end + /^[^\n]*(\n|$)/.exec(text.slice(span.end))![0].length };
}

/** Whether the same rules are read from the new text, one of them at another place: an anchor, or a line that belongs to two, may stand in the way. */
function isMoved(recipe: Recipe, edits: readonly Edit[], from: number, to: number): boolean {
    const after = parseRecipe(edited(recipe.text, edits).text, recipe.schema);
    const textsOf = (one: Recipe): string[] => rulePlaces(one).map(({ span }) => one.text.slice(span.start, span.end));
    const expected = textsOf(recipe);
    expected.splice(to, 0, ...expected.splice(from, 1));
    const found = textsOf(after);
    return soundPart(after).recipe === after && found.length === expected.length && found.every((text, index) => text === expected[index]);
}
