import * as l10n from '@vscode/l10n';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { layerPattern } from '../protocol/pattern';
import { nearest } from './nearest';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';

/** What patterns say of a checkpoint does not change while its header is known; after a keystroke most of a recipe's patterns are the same. */
export class Answers<T> {
    private readonly known = new WeakMap<CheckpointHeader, Map<string, T>>();

    constructor(private readonly find: (header: CheckpointHeader, pattern: string) => T) {}

    get(header: CheckpointHeader, pattern: string): T {
        let answers = this.known.get(header);
        if (!answers || answers.size >= MAX_PATTERNS) this.known.set(header, (answers = new Map<string, T>()));
        if (!answers.has(pattern)) answers.set(pattern, this.find(header, pattern));
        return answers.get(pattern)!;
    }
}

/** More than any recipe has, even with every state of a pattern that is being typed. */
const MAX_PATTERNS = 4000;
const matching = new Answers((header, pattern): readonly Linear[] => {
    const matches = layerPattern(pattern);
    return header.linears.filter(({ name }) => matches(name));
});
const near = new Answers((header, pattern) => nearest(pattern, /[*?[]/.test(pattern) ? openPatterns(header) : header.linears.map(({ name }) => name)));

/** Layers that a pattern matches, in execution order. */
export function matchingLayers(header: CheckpointHeader, pattern: string): readonly Linear[] {
    return matching.get(header, pattern);
}

/** The texts of a rule's `layers`, one or several. */
export function patternPlaces(rule: Place): Place[] {
    const layers = childNamed(rule, 'layers');
    const texts = layers?.kind === 'list' ? layers.children : layers ? [layers] : [];
    return texts.filter(({ kind }) => kind === 'text');
}

export function rulePlaces(recipe: Recipe): readonly Place[] {
    const rules = placeAt(recipe.root, ['quantize', 'rules']);
    return rules?.kind === 'list' ? rules.children : [];
}

/** Where a recipe names ways to quantize: candidates, default, rules. */
export function usePlaces(recipe: Recipe): Place[] {
    const candidates = placeAt(recipe.root, ['candidates']);
    const fallback = placeAt(recipe.root, ['quantize', 'default']);
    const rules = rulePlaces(recipe).flatMap((rule) => childNamed(rule, 'use') ?? []);
    return [...(candidates?.kind === 'list' ? candidates.children : []), ...(fallback ? [fallback] : []), ...rules];
}

/** Who decides about which layers: index of the first matching rule, or `default` for the blocks' other layers. */
export type Decided = ReadonlyMap<number | 'default', readonly Linear[]>;

/** What was decided last for a checkpoint: most keystrokes change no pattern. */
const lastDecided = new WeakMap<CheckpointHeader, { readonly patterns: string; readonly decided: Decided }>();

export function decidedLayers(recipe: Recipe, header: CheckpointHeader): Decided {
    const rules = rulePlaces(recipe).map((rule) => patternPlaces(rule).map(({ text }) => text));
    const patterns = JSON.stringify(rules);
    const last = lastDecided.get(header);
    if (last?.patterns === patterns) return last.decided;
    const decided = decide(rules, header);
    lastDecided.set(header, { patterns, decided });
    return decided;
}

function decide(patterns: readonly (readonly string[])[], header: CheckpointHeader): Decided {
    const rules = new Map<Linear, number>();
    patterns.forEach((texts, index) => {
        for (const text of texts) for (const layer of matchingLayers(header, text)) if (!rules.has(layer)) rules.set(layer, index);
    });
    const decided = new Map<number | 'default', Linear[]>();
    for (const linear of header.linears) {
        const decider = rules.get(linear) ?? 'default';
        if (decider === 'default' && linear.block === null) continue;
        const layers = decided.get(decider);
        if (layers) layers.push(linear);
        else decided.set(decider, [linear]);
    }
    return decided;
}

/** What a pattern without a match was probably meant to be, by the rule of docs/diagnostics.md. */
export function nearestPattern(header: CheckpointHeader, pattern: string): string | undefined {
    return near.get(header, pattern);
}

/** Patterns of a checkpoint do not change while its header is known. */
const open = new WeakMap<CheckpointHeader, readonly string[]>();

function openPatterns(header: CheckpointHeader): readonly string[] {
    let patterns = open.get(header);
    if (!patterns) open.set(header, (patterns = [...new Set(header.linears.flatMap(({ name }) => patternsFor(name)))]));
    return patterns;
}

/** Patterns that match a layer: its name with the numbers open, then `*.` and each ending of what follows the last number. */
function patternsFor(name: string): string[] {
    const parts = name.split('.');
    const lastNumber = parts.findLastIndex((part) => /^\d+$/.test(part));
    const open = openNumbers(name);
    if (lastNumber < 0) return [open];
    const tail = parts.slice(lastNumber + 1);
    return [open, ...tail.map((_, index) => `*.${tail.slice(index).join('.')}`)];
}

/** A name with `*` in the place of each number. */
export function openNumbers(name: string): string {
    return name.replace(/(?<=^|\.)\d+(?=\.|$)/g, '*');
}

export function countOfLayers(count: number): string {
    return count === 1 ? l10n.t('1 layer') : l10n.t('{0} layers', count);
}
