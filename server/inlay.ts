import { InlayHintKind, type InlayHint } from 'vscode-languageserver/node';
import { isDeepStrictEqual } from 'node:util';
import * as l10n from '@vscode/l10n';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { bits, decimals } from '../protocol/decimals';
import type { LayerResult } from '../protocol/generated/result';
import { amount, bytes } from './amounts';
import { modelHeader, NO_FACTS, type Facts } from './facts';
import { aboutBudget, aboutQuantize } from './hover-budget';
import { decibels, lastRun, outcome, summarize, type LastRun, type Summary } from './last-run';
import { layerList } from './hover-layers';
import { countOfLayers, matchingLayers, patternPlaces, rulePlaces } from './layers';
import { bitsAt, bytesAt, plannedSize, reachable } from './plan';
import { positionOf } from './positions';
import { childNamed, placeAt, plainValue, type Place, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';
import { parseSize } from './validate-budget';

/** Layer counts behind patterns, bits and size behind `quantize`; what the last run measured behind rules, default, budget and candidates, marked where the recipe has changed since. */
export function inlayHints(recipe: Recipe, facts: Facts, within?: Span): InlayHint[] {
    // What findings are read from, too.
    const hints = allHints(soundPart(recipe).recipe, facts);
    return hints.filter(({ at }) => !within || (within.start <= at && at <= within.end)).map(({ at, label, tooltip }) => ({
        position: positionOf(recipe.lines, at),
        label,
        tooltip: { kind: 'markdown', value: tooltip },
        kind: InlayHintKind.Type,
        paddingLeft: true,
    }));
}

function allHints(recipe: Recipe, facts: Facts): Hint[] {
    const header = modelHeader(recipe, facts);
    const run = lastRun(recipe, facts.result);
    return [...(header ? [...patternHints(recipe, header), ...sizeHints(recipe, header)] : []), ...(run ? resultHints(recipe, run) : [])];
}

/** VS Code cuts the hints of one line off after this many characters (`editor.inlayHints.maximumLength`). */
const LINE_ROOM = 43;
/** A pattern's hint stands in the same line. */
const LONGEST_LABEL = 20;

interface Hint {
    readonly at: number;
    readonly label: string;
    readonly tooltip: string;
}

function patternHints(recipe: Recipe, header: CheckpointHeader): Hint[] {
    return rulePlaces(recipe).flatMap(patternPlaces).filter(({ text }) => text !== '').map((place) => {
        const layers = matchingLayers(header, place.text);
        const weights = amount(layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0));
        const label = layers.length === 0 ? l10n.t('no layer') : countOfLayers(layers.length);
        const tooltip = [l10n.t('{0} weights', weights), '', ...layerList(layers, ({ name }) => `\`${name}\``)].join('\n');
        return { at: place.span.end, label, tooltip };
    });
}

/** Effective bits and size behind `quantize`: of default and rules, or what a budget can choose among. */
function sizeHints(recipe: Recipe, header: CheckpointHeader): Hint[] {
    const section = placeAt(recipe.root, ['quantize']);
    if (!section?.key || section.kind !== 'mapping') return [];
    const at = section.key.end + (/^[ \t]*:/.exec(recipe.text.slice(section.key.end))?.[0].length ?? 0);
    const plan = plannedSize(recipe, header);
    if (plan) {
        const tooltip = `${aboutQuantize(recipe, header)}\n\n${l10n.t('From the shapes in the checkpoint’s header, scales and zero points included.')}`;
        return [{ at, label: l10n.t('{0} bits, {1}', bits(plan.bitsPerWeight), bytes(plan.bytes)), tooltip }];
    }
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    const range = budget?.kind === 'mapping' ? reachable(recipe, header) : undefined;
    if (!budget || !range) return [];
    const [limit] = budget.children;
    const [most, size] = [limit?.key?.name === 'bits_per_weight' ? Number(limit.value) : undefined, limit?.key?.name === 'size' ? parseSize(limit.text) : undefined];
    const label = most !== undefined
        ? l10n.t('≤ {0} bits, {1}', bits(most), bytes(bytesAt(range, most)))
        : size !== undefined ? l10n.t('≤ {0} bits, {1}', bits(bitsAt(range, size)), bytes(size)) : l10n.t('{0} to {1} bits', bits(range.least.bitsPerWeight), bits(range.most.bitsPerWeight));
    return [{ at, label, tooltip: aboutBudget(recipe, budget, header, NO_FACTS) }];
}

function resultHints(recipe: Recipe, run: LastRun): Hint[] {
    const hints: Hint[] = [];
    const rules = rulePlaces(recipe);
    // A rule decides about what the rules above it leave: all of them must be as they were.
    const firstChanged = rules.findIndex((_, index) => !run.isUnchanged(['quantize', 'rules', index]));
    const unchanged = firstChanged < 0 ? rules.length : firstChanged;
    const before = new RulesThatRan(run);
    rules.forEach((rule, index) => {
        const isFresh = index < unchanged && !run.otherData;
        const then = index < unchanged ? before.take(index) : before.find(rule);
        hints.push(...outcomeHint(run, childNamed(rule, 'use'), run.layers.filter((layer) => layer.rule === then), isFresh));
    });
    const isFresh = run.isUnchanged(['quantize']) && !run.otherData;
    for (const decider of ['default', 'budget'] as const) {
        const layers = run.layers.filter(({ rule }) => rule === decider);
        hints.push(...outcomeHint(run, placeAt(recipe.root, ['quantize', decider]), layers, isFresh));
    }
    for (const candidate of placeAt(recipe.root, ['candidates'])?.children ?? []) hints.push(...candidateHint(run, candidate));
    return hints;
}

/** Which rule of the recipe that ran a present one continues: the one about the same layers. */
class RulesThatRan {
    private readonly rules: (unknown)[];

    constructor({ ran }: LastRun) {
        this.rules = rulePlaces(ran).map((rule) => plainValue(childNamed(rule, 'layers') ?? rule));
    }

    take(index: number): number {
        this.rules[index] = undefined;
        return index;
    }

    find(rule: Place): number | undefined {
        const layers = childNamed(rule, 'layers');
        const index = layers ? this.rules.findIndex((other) => isDeepStrictEqual(other, plainValue(layers))) : -1;
        return index < 0 ? undefined : this.take(index);
    }
}

function stale(): string {
    return l10n.t('The recipe has changed since this was measured.');
}

function outcomeHint(run: LastRun, place: Place | undefined, layers: readonly LayerResult[], isFresh: boolean): Hint[] {
    const summary = summarize(layers, outcome);
    if (!place || !summary) return [];
    const fallbacks = layers.filter(({ fallback }) => fallback !== null);
    const quality = summary.count === 1 ? decibels(summary.smallest) : l10n.t('min {0}', decibels(summary.smallest));
    const worst = `\`${summary.worstLayer}\``;
    const tooltip = [
        ...(isFresh ? [] : [stale()]),
        summary.count === 1
            ? l10n.t('**{0}** is the SQNR of {1} as the last run wrote it.', decibels(summary.smallest), worst)
            : l10n.t('**{0}** is the lowest SQNR of {1} as the last run wrote them ({2}), the mean is {3}.', decibels(summary.smallest), countOfLayers(summary.count), worst, decibels(summary.mean)),
        explanation(layers),
        ...[...applied(layers)].map(([label, count]) => l10n.t('{0} on {1}', `\`${label}\``, countOfLayers(count))),
        ...fallbacks.slice(0, 4).map(({ name, fallback }) => `\`${name}\` — ${fallback}`),
        l10n.t('Run {0}', run.name),
    ].join('\n\n');
    const how = chosen(place, [...applied(layers).keys()]);
    return [{ at: place.span.end, label: `${marked(how + quality, isFresh, '→ ')}${fallbacks.length > 0 ? ' ⚠' : ''}`, tooltip }];
}

/** What is old is marked as such. */
function marked(text: string, isFresh: boolean, mark = ''): string {
    return isFresh ? mark + text : l10n.t('was {0}', text);
}

function explanation(layers: readonly LayerResult[]): string {
    const measurements = layers.flatMap(({ achieved, candidates }) => [achieved, ...Object.values(candidates)]);
    return measurements.some((measurement) => measurement?.of === 'weights')
        ? l10n.t('Without calibration data SQNR is the ratio of a layer’s weights to what quantization changes in them; it says nothing of outputs.')
        : l10n.t('SQNR is the ratio of a layer’s output to the noise that quantization adds to it; higher is better.');
}

/** What the run chose, unless the recipe says just that before the hint. */
function chosen(place: Place, labels: readonly string[]): string {
    const [label = ''] = labels;
    if (labels.length > 1) return `${l10n.t('{0} methods', labels.length)}, `;
    return label === place.text || label.length > LONGEST_LABEL ? '' : `${label}, `;
}

/** The number of layers that each method was applied to. */
function applied(layers: readonly LayerResult[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const layer of layers) {
        const label = layer.applied ?? layer.asked;
        if (label !== null) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return counts;
}

function candidateHint(run: LastRun, place: Place): Hint[] {
    const label = run.candidates[run.candidateIndex(place.path)];
    const summary = label === undefined ? undefined : summarize(run.layers, (layer) => layer.candidates[label]);
    if (!summary) return [];
    const tooltip = [
        ...(run.otherData ? [stale()] : []),
        l10n.t('SQNR over {0}: mean {1}, lowest **{2}** ({3}).', countOfLayers(summary.count), decibels(summary.mean), decibels(summary.smallest), `\`${summary.worstLayer}\``),
        explanation(run.layers),
        l10n.t('Run {0}', run.name),
    ].join('\n\n');
    return [{ at: place.span.end, label: marked(candidateLabel(summary, place), !run.otherData), tooltip }];
}

/** Candidates that stand in one line share what the editor shows there: the fewer they are, the more each says; of many the first says what the numbers are. */
function candidateLabel({ mean, smallest }: Summary, place: Place): string {
    const list = place.parent;
    const room = list?.flow ? Math.floor(LINE_ROOM / list.children.length) : LINE_ROOM;
    const lowest = decibels(smallest);
    return [l10n.t('mean {0}, min {1}', decimals(mean, 1), lowest), l10n.t('min {0}', lowest)].find(({ length }) => length <= room)
        ?? (list?.children[0] === place ? l10n.t('min {0}', decimals(smallest, 1)) : decimals(smallest, 1));
}
