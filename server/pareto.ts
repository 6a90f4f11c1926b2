import { isDeepStrictEqual } from 'node:util';
import * as l10n from '@vscode/l10n';
import { bits, decimals, significantDecimals } from '../protocol/decimals';
import type { Linear } from '../protocol/checkpoint';
import type { ParetoFront, ParetoPoint, Result } from '../protocol/generated/result';
import type { ParetoPointChoice } from '../protocol/language';
import { Decisions } from './decisions';
import { lineEnd, removal } from './entries';
import { edited, type Edit } from './edited';
import type { Facts } from './facts';
import { WrongPlaces } from './finding';
import { bytes } from './amounts';
import { ranRecipe } from './last-run';
import { rulePlaces } from './layers';
import { insertedRules, patternsOf, type NewRule } from './rule-edits';
import { parseRecipe, placeAt, plainValue, type Place, type Recipe } from './recipe';
import { identityOf } from './uses';
import { flowText } from './yaml-text';

/** The points of the last run's front that the recipe could become, as `quant-engine recipe RUN --point N` counts them; none when it asks for other candidates than ran, or no longer has the rules that ran. */
export function paretoChoices(recipe: Recipe, facts: Facts): ParetoPointChoice[] {
    const found = frontOf(recipe, facts);
    if (!found) return [];
    const { points, objective } = found.front;
    return points.map((point, index) => {
        const { bits_per_weight: width, bytes: size, min_sqnr_db: worst, predicted_loss: predicted } = point;
        const loss = decimals(predicted, significantDecimals(predicted));
        return {
            number: index + 1,
            label: worst === null
                ? l10n.t('Point {0} of {1}: {2} bits per weight, {3}', index + 1, points.length, bits(width), bytes(size))
                : l10n.t('Point {0} of {1}: {2} bits per weight, {3}, worst layer {4} dB', index + 1, points.length, bits(width), bytes(size), decimals(worst, 1)),
            detail: objective === 'importance' ? l10n.t('Predicted loss {0} nats of KL divergence', loss) : l10n.t('Predicted loss {0}', loss),
        };
    });
}

/**
 * Writes a point as default and rules: those that ran stay in front, every other rule and the budget go. Comments and the other sections stay.
 * undefined: that is not possible without rewriting more than that.
 */
export function paretoEdits(recipe: Recipe, facts: Facts, number: number): readonly Edit[] | undefined {
    const found = frontOf(recipe, facts);
    const point = found?.front.points[number - 1];
    if (!found || !point) return undefined;
    const { result, kept, front, candidates } = found;
    const chosen = assignmentOf(front, point);
    const { most, rules } = rulesOf(result, chosen, kept, candidates.map((place) => useText(recipe, place)));
    const plan = [...sectionEdits(recipe, useText(recipe, candidates[most]!)), ...ruleEdits(recipe, kept, rules, noteOf(result, front, number))];
    const edits = joined(plan, lineEnd(recipe.text));
    return says(recipe, edits, chosen, candidates, result) ? edits : undefined;
}

interface Found {
    readonly result: Result;
    readonly front: ParetoFront;
    readonly candidates: readonly Place[];
    /** Rules of the recipe that ran. */
    readonly kept: readonly Place[];
}

function frontOf(recipe: Recipe, { result: last }: Facts): Found | undefined {
    const front = last?.result.pareto;
    if (!last || !front || last.ran === undefined || recipe.errors.length > 0) return undefined;
    const ran = ranRecipe(last, recipe.schema)!;
    const candidatesOf = (of: Recipe): readonly Place[] => placeAt(of.root, ['candidates'])?.children ?? [];
    const identities = (of: Recipe): unknown => candidatesOf(of).map((place) => identityOf(of, place));
    const same = isDeepStrictEqual(identities(recipe), identities(ran)) && isDeepStrictEqual(modelOf(recipe), modelOf(ran));
    const kept: Place[] = [];
    for (const rule of rulePlaces(recipe)) {
        const wanted = rulePlaces(ran)[kept.length];
        if (wanted && isDeepStrictEqual(plainValue(rule), plainValue(wanted))) kept.push(rule);
    }
    const isWhole = kept.length === rulePlaces(ran).length;
    return same && isWhole ? { result: last.result, front, candidates: candidatesOf(recipe), kept } : undefined;
}

function modelOf(recipe: Recipe): unknown {
    const place = placeAt(recipe.root, ['model']);
    return place && plainValue(place);
}

/** By layer the index of its candidate. */
function assignmentOf({ units }: ParetoFront, { assignment }: ParetoPoint): Map<string, number> {
    return new Map(units.flatMap((unit, index) => unit.map((name): [string, number] => [name, assignment[index]!])));
}

function rulesOf(result: Result, chosen: ReadonlyMap<string, number>, kept: readonly Place[], texts: readonly string[]): { most: number; rules: NewRule[] } {
    const counts = new Map<number, number>();
    for (const candidate of chosen.values()) counts.set(candidate, (counts.get(candidate) ?? 0) + 1);
    const order = [...counts.keys()].sort((a, b) => a - b);
    const most = order.reduce((best, candidate) => (counts.get(candidate)! > counts.get(best)! ? candidate : best));
    // What the rules that stay decide is no matter of the new ones.
    const free = result.layers.filter(({ rule }) => typeof rule !== 'number' || rule >= kept.length).map(({ name, outputs, inputs, block }): Linear => ({ name, outputs, inputs, block, bytes: 0 }));
    const rules = order.filter((candidate) => candidate !== most).map((candidate): NewRule => ({
        layers: patternsOf(free.filter(({ name }) => chosen.get(name) === candidate), free), use: texts[candidate]!,
    }));
    return { most, rules };
}

/** A candidate as it can stand in a line. */
function useText({ text }: Recipe, place: Place): string {
    const isBlock = place.kind === 'mapping' && !place.flow;
    return isBlock ? flowText(plainValue(place)) : text.slice(place.span.start, place.span.end);
}

function noteOf(result: Result, { points, objective }: ParetoFront, number: number): string {
    const point = points[number - 1]!;
    const unit = objective === 'importance' ? ' nats of KL divergence' : '';
    return `Point ${number} of ${points.length} of run ${result.run}: ${bits(point.bits_per_weight)} bits per weight, predicted loss ${decimals(point.predicted_loss, significantDecimals(point.predicted_loss))}${unit}.`;
}

const OWN_NOTE = /(^|\n)[ \t]*# Point \d+ of \d+ of run [^\r\n]*\r?\n$/;

function sectionEdits(recipe: Recipe, use: string): Edit[] {
    const fallback = placeAt(recipe.root, ['quantize', 'default']);
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    return [...(fallback ? [{ ...fallback.span, text: use }] : []), ...(budget ? [removal(recipe, budget)] : [])];
}

/** Takes out the rules that are not kept, and puts the new ones behind those that are. */
function ruleEdits(recipe: Recipe, kept: readonly Place[], rules: readonly NewRule[], note: string): Edit[] {
    const written = rulePlaces(recipe);
    const gone = written.filter((rule) => !kept.includes(rule));
    const list = placeAt(recipe.root, ['quantize', 'rules']);
    if (written.length > 0 && gone.length === written.length) {
        // An empty list would be left.
        if (!list) return [];
        const { start, end } = removal(recipe, list);
        if (rules.length === 0) return [{ start, end, text: '' }];
        if (list.flow) {
            const inserted = insertedRules(recipe, 0, rules, note)!;
            return [{ start: list.span.start + 1, end: list.span.end - 1, text: inserted.text.replace(/, $/, '') }];
        }
    }
    const removals = gone.map((rule) => withNote(recipe, removal(recipe, rule)));
    const index = gone[0] ? written.indexOf(gone[0]) : Infinity;
    const isLast = gone.every((rule) => written.indexOf(rule) >= kept.length);
    const inserted = insertedRules(recipe, isLast && Number.isFinite(index) && !list?.flow ? index : Infinity, rules, note);
    const first = removals[0];
    if (inserted && first && inserted.start >= first.start && inserted.start <= first.end) return [{ ...first, text: inserted.text }, ...removals.slice(1)];
    return [...(inserted ? [inserted] : []), ...removals];
}

/** With the line that this action wrote above it an earlier time. */
function withNote({ text }: Recipe, edit: Edit): Edit {
    const above = OWN_NOTE.exec(text.slice(0, edit.start));
    return above ? { ...edit, start: above.index + above[1]!.length } : edit;
}

/** Edits that follow each other without a gap as one, so that their order does not matter. */
function joined(edits: readonly Edit[], eol: string): Edit[] {
    const result: Edit[] = [];
    for (const edit of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
        const last = result.at(-1);
        const isInLostLine = last && edit.start < last.end && last.text === '' && edit.text.startsWith(eol);
        // What would go behind a line that goes takes its place.
        if (isInLostLine) result[result.length - 1] = { ...last, text: edit.text.slice(eol.length) + eol };
        else if (last && edit.start <= last.end) result[result.length - 1] = { start: last.start, end: Math.max(last.end, edit.end), text: last.text + edit.text };
        else result.push(edit);
    }
    return result;
}

/** Whether the new text gives every layer the candidate of the point, and says the rest as before. */
function says(recipe: Recipe, edits: readonly Edit[], chosen: ReadonlyMap<string, number>, candidates: readonly Place[], result: Result): boolean {
    const after = parseRecipe(edited(recipe.text, edits).text, recipe.schema);
    const others = (of: Recipe): unknown => of.root.children.filter(({ key }) => key?.name !== 'quantize').map((place) => [place.key?.name, plainValue(place)]);
    if (after.errors.length > 0 || placeAt(after.root, ['quantize', 'budget']) || !isDeepStrictEqual(others(recipe), others(after))) return false;
    const linears = result.layers.map(({ name, block, outputs, inputs }): Linear => ({ name, block, outputs, inputs, bytes: 0 }));
    const header = { folder: '', architecture: '', dtype: '', parameters: 0, bytes: 0, blocks: 0, maximumTokens: null, quantization: null, tiedHead: null, linears };
    const decisions = new Decisions(after, header, new WrongPlaces([]));
    const wanted = candidates.map((place) => identityOf(recipe, place));
    for (const [decider, layers] of decisions.layers) {
        const place = decisions.placeOf(decider);
        const identity = place && identityOf(after, place);
        for (const { name } of layers) if (chosen.has(name) && wanted[chosen.get(name)!] !== identity) return false;
    }
    return true;
}
