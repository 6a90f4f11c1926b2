import { InlayHintKind, type InlayHint } from 'vscode-languageserver/node';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import type { LayerResult } from '../protocol/generated/result';
import { amount } from './amounts';
import { modelHeader, type Facts } from './facts';
import { decibels, lastRun, outcome, summarize, type LastRun, type Summary } from './last-run';
import { countOfLayers, matchingLayers, patternPlaces, rulePlaces } from './layers';
import { positionOf } from './positions';
import { childNamed, placeAt, type Place, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';

/** Layer counts behind patterns; what the last run measured behind rules, default, budget and candidates that still say what ran. */
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
    return [...(header ? patternHints(recipe, header) : []), ...(run ? resultHints(recipe, run) : [])];
}

/** VS Code cuts the hints of one line off after this many characters (`editor.inlayHints.maximumLength`). */
const LINE_ROOM = 43;
/** A pattern's hint stands in the same line. */
const LONGEST_LABEL = 20;
const SQNR = 'SQNR is the ratio of a layer’s output to the noise that quantization adds to it; higher is better.';
const WEIGHT_SQNR = 'Without calibration data SQNR is the ratio of a layer’s weights to what quantization changes in them; it says nothing of outputs.';

interface Hint {
    readonly at: number;
    readonly label: string;
    readonly tooltip: string;
}

function patternHints(recipe: Recipe, header: CheckpointHeader): Hint[] {
    return rulePlaces(recipe).flatMap(patternPlaces).filter(({ text }) => text !== '').map((place) => {
        const layers = matchingLayers(header, place.text);
        const weights = amount(layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0));
        const names = layers.slice(0, 6).map(({ name }) => `- \`${name}\``);
        const more = layers.length > names.length ? [`- and ${layers.length - names.length} more`] : [];
        const label = layers.length === 0 ? 'no layer' : countOfLayers(layers.length);
        return { at: place.span.end, label, tooltip: [`${weights} weights`, '', ...names, ...more].join('\n') };
    });
}

function resultHints(recipe: Recipe, run: LastRun): Hint[] {
    const hints: Hint[] = [];
    const rules = rulePlaces(recipe);
    // A rule decides about what the rules above it leave: all of them must be as they were.
    const firstChanged = rules.findIndex((_, index) => !run.isUnchanged(['quantize', 'rules', index]));
    const unchanged = firstChanged < 0 ? rules.length : firstChanged;
    rules.slice(0, unchanged).forEach((rule, index) => {
        hints.push(...outcomeHint(run, childNamed(rule, 'use'), run.layers.filter((layer) => layer.rule === index)));
    });
    if (run.isUnchanged(['quantize'])) {
        hints.push(...outcomeHint(run, placeAt(recipe.root, ['quantize', 'default']), run.layers.filter(({ rule }) => rule === 'default')));
        hints.push(...outcomeHint(run, placeAt(recipe.root, ['quantize', 'budget']), run.layers.filter(({ rule }) => rule === 'budget')));
    }
    for (const candidate of placeAt(recipe.root, ['candidates'])?.children ?? []) hints.push(...candidateHint(run, candidate));
    return hints;
}

function outcomeHint(run: LastRun, place: Place | undefined, layers: readonly LayerResult[]): Hint[] {
    const summary = summarize(layers, outcome);
    if (!place || !summary) return [];
    const fallbacks = layers.filter(({ fallback }) => fallback !== null);
    const quality = summary.count === 1 ? decibels(summary.smallest) : `min ${decibels(summary.smallest)}`;
    const tooltip = [
        summary.count === 1
            ? `**${decibels(summary.smallest)}** is the SQNR of \`${summary.worstLayer}\` as the last run wrote it.`
            : `**${decibels(summary.smallest)}** is the lowest SQNR of ${countOfLayers(summary.count)} as the last run wrote them (\`${summary.worstLayer}\`), the mean is ${decibels(summary.mean)}.`,
        explanation(layers),
        ...[...applied(layers)].map(([label, count]) => `\`${label}\` on ${countOfLayers(count)}`),
        ...fallbacks.slice(0, 4).map(({ name, fallback }) => `\`${name}\` — ${fallback}`),
        `Run ${run.name}`,
    ].join('\n\n');
    const how = chosen(place, [...applied(layers).keys()]);
    return [{ at: place.span.end, label: `→ ${how}${quality}${fallbacks.length > 0 ? ' ⚠' : ''}`, tooltip }];
}

function explanation(layers: readonly LayerResult[]): string {
    const measurements = layers.flatMap(({ achieved, candidates }) => [achieved, ...Object.values(candidates)]);
    return measurements.some((measurement) => measurement?.of === 'weights') ? WEIGHT_SQNR : SQNR;
}

/** What the run chose, unless the recipe says just that before the hint. */
function chosen(place: Place, labels: readonly string[]): string {
    const [label = ''] = labels;
    if (labels.length > 1) return `${labels.length} methods, `;
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
        `SQNR over ${countOfLayers(summary.count)}: mean ${decibels(summary.mean)}, lowest **${decibels(summary.smallest)}** (\`${summary.worstLayer}\`).`,
        explanation(run.layers),
        `Run ${run.name}`,
    ].join('\n\n');
    return [{ at: place.span.end, label: candidateLabel(summary, place), tooltip }];
}

/** Candidates that stand in one line share what the editor shows there: the fewer they are, the more each says; of many the first says what the numbers are. */
function candidateLabel({ mean, smallest }: Summary, place: Place): string {
    const list = place.parent;
    const room = list?.flow ? Math.floor(LINE_ROOM / list.children.length) : LINE_ROOM;
    const lowest = decibels(smallest);
    return [`mean ${decimals(mean, 1)}, min ${lowest}`, `min ${lowest}`].find(({ length }) => length <= room)
        ?? (list?.children[0] === place ? `min ${decimals(smallest, 1)}` : decimals(smallest, 1));
}
