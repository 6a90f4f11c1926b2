import { isDeepStrictEqual } from 'node:util';
import { decimals } from '../protocol/decimals';
import type { LayerResult, Measurement } from '../protocol/generated/result';
import type { LastResult } from './facts';
import { identityOf } from './uses';
import { parseRecipe, placeAt, plainValue, type Path, type Recipe } from './recipe';
import type { RecipeSchema } from './schema';

/** The last run of a recipe, and which parts of the recipe still say what ran. */
export interface LastRun {
    readonly name: string;
    readonly layers: readonly LayerResult[];
    readonly candidates: readonly string[];
    /** Whether it saw other calibration data than the recipe names now: all that it measured is old. */
    readonly otherData: boolean;
    readonly ran: Recipe;
    /** Whether the value at a path, or the absence of one, is what ran. */
    isUnchanged(path: Path): boolean;
    /** Index that a candidate of the present text had in the run. */
    candidateIndex(path: Path): number;
}

const parsed = new WeakMap<LastResult, Recipe>();

/** The recipe that ran, read once; undefined: the run kept no copy. */
export function ranRecipe(last: LastResult, schema: RecipeSchema): Recipe | undefined {
    if (last.ran === undefined) return undefined;
    const known = parsed.get(last);
    if (known?.schema === schema) return known;
    const recipe = parseRecipe(last.ran, schema);
    parsed.set(last, recipe);
    return recipe;
}

/** undefined: nothing ran, the run kept no recipe, or it was about another model. */
export function lastRun(recipe: Recipe, last: LastResult | undefined): LastRun | undefined {
    const ran = last && ranRecipe(last, recipe.schema);
    if (!ran) return undefined;
    const valueOf = (of: Recipe, path: Path): unknown => {
        const place = placeAt(of.root, path);
        return place && plainValue(place);
    };
    const isUnchanged = (path: Path): boolean => isDeepStrictEqual(valueOf(recipe, path), valueOf(ran, path));
    if (!isUnchanged(['model'])) return undefined;
    return {
        ran,
        otherData: !isUnchanged(['calibration']),
        name: last.result.run,
        layers: last.result.layers,
        candidates: last.result.candidates,
        isUnchanged,
        candidateIndex: (path) => {
            const candidates = placeAt(ran.root, ['candidates'])?.children ?? [];
            const identities = [...new Set(candidates.map((candidate) => identityOf(ran, candidate)))];
            const place = placeAt(recipe.root, path);
            // A run of an engine that measured repeated candidates twice: positions do not tell which is which.
            if (!place || identities.length !== last.result.candidates.length) return -1;
            return identities.indexOf(identityOf(recipe, place) ?? '');
        },
    };
}

export interface Summary {
    /** Mean and smallest SQNR in dB over the layers that have a finite one. */
    readonly mean: number;
    readonly smallest: number;
    readonly worstLayer: string;
    readonly count: number;
}

export function summarize(layers: readonly LayerResult[], measurement: (layer: LayerResult) => Measurement | null | undefined): Summary | undefined {
    const values = layers.flatMap((layer) => {
        const sqnr = measurement(layer)?.sqnr_db;
        return sqnr === null || sqnr === undefined ? [] : [{ sqnr, layer: layer.name }];
    });
    if (values.length === 0) return undefined;
    const worst = values.reduce((least, value) => (value.sqnr < least.sqnr ? value : least));
    const mean = values.reduce((sum, { sqnr }) => sum + sqnr, 0) / values.length;
    return { mean, smallest: worst.sqnr, worstLayer: worst.layer, count: values.length };
}

/** The measurement that says how a layer came out: as written, else as measured for what was asked. */
export function outcome(layer: LayerResult): Measurement | null | undefined {
    return layer.achieved ?? (layer.asked === null ? undefined : layer.candidates[layer.asked]);
}

export function decibels(value: number): string {
    return `${decimals(value, 1)} dB`;
}
