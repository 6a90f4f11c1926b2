import { InlayHintKind, type InlayHint } from 'vscode-languageserver/node';
import type { CheckpointHeader } from '../protocol/checkpoint';
import type { LayerResult } from '../protocol/generated/result';
import { modelHeader, type Facts } from './facts';
import { amount } from './hover';
import { decibels, lastRun, outcome, summarize, type LastRun } from './last-run';
import { countOfLayers, matchingLayers, patternPlaces, rulePlaces } from './layers';
import { positionOf } from './positions';
import { childNamed, placeAt, type Place, type Recipe, type Span } from './recipe';

/** Layer counts behind patterns; what the last run measured behind rules, default, budget and candidates that still say what ran. */
export function inlayHints(recipe: Recipe, facts: Facts, within?: Span): InlayHint[] {
    const header = modelHeader(recipe, facts);
    const run = lastRun(recipe, facts.result);
    const hints = [...(header ? patternHints(recipe, header) : []), ...(run ? resultHints(recipe, run) : [])];
    return hints.filter(({ at }) => !within || (within.start <= at && at <= within.end)).map(({ at, label, tooltip }) => ({
        position: positionOf(recipe.lines, at),
        label,
        tooltip: { kind: 'markdown', value: tooltip },
        kind: InlayHintKind.Type,
        paddingLeft: true,
    }));
}

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
    const tooltip = [
        `**${decibels(summary.smallest)}** is the lowest SQNR of ${countOfLayers(summary.count)} (\`${summary.worstLayer}\`), the mean is ${decibels(summary.mean)}.`,
        ...applied(layers),
        ...fallbacks.slice(0, 4).map(({ name, fallback }) => `\`${name}\` — ${fallback}`),
        `Run ${run.name}`,
    ].join('\n\n');
    return [{ at: place.span.end, label: `→ ${decibels(summary.smallest)}${fallbacks.length > 0 ? ' ⚠' : ''}`, tooltip }];
}

/** What was chosen, with the number of layers. */
function applied(layers: readonly LayerResult[]): string[] {
    const counts = new Map<string, number>();
    for (const layer of layers) {
        const label = layer.applied ?? layer.asked;
        if (label !== null) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return [...counts].map(([label, count]) => `\`${label}\` on ${countOfLayers(count)}`);
}

function candidateHint(run: LastRun, place: Place): Hint[] {
    const label = run.candidates[run.candidateIndex(place.path)];
    const summary = label === undefined ? undefined : summarize(run.layers, (layer) => layer.candidates[label]);
    if (!summary) return [];
    const tooltip = [
        `SQNR over ${countOfLayers(summary.count)}: mean ${decibels(summary.mean)}, lowest **${decibels(summary.smallest)}** (\`${summary.worstLayer}\`).`,
        `Run ${run.name}`,
    ].join('\n\n');
    // VS Code cuts the hints of one line off after 43 characters: in a list on one line they are kept short.
    const lowest = summary.smallest.toFixed(1);
    return [{ at: place.span.end, label: place.parent?.flow ? `≥ ${lowest}` : `${decibels(summary.mean)}, min ${lowest}`, tooltip }];
}
