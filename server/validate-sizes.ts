import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { bitsPerWeight } from '../protocol/formats';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { decidedLayers, rulePlaces } from './layers';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { dividing, readUse, type Use } from './uses';

/** Group sizes that do not divide a layer's input width. */
export function groupSizeFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const blocks = header.linears.filter(({ block }) => block !== null);
    const decided = decidedLayers(recipe, header);
    const uses: [Place | undefined, readonly Linear[]][] = [
        ...candidatePlaces(recipe).map((place): [Place, Linear[]] => [place, blocks]),
        [placeAt(recipe.root, ['quantize', 'default']), decided.get('default') ?? []],
        ...rulePlaces(recipe).map((rule, index): [Place | undefined, Linear[]] => [childNamed(rule, 'use'), decided.get(index) ?? []]),
    ];
    return uses.flatMap(([place, layers]) => {
        const use = place && wrong.isWhollyRight(place) ? readUse(recipe, place) : undefined;
        const size = use && dividing(use);
        const layer = size ? layers.find(({ inputs }) => inputs % size !== 0) : undefined;
        if (!use || !layer) return [];
        const sizes = divisors(layer.inputs);
        const message = `group size ${size} does not divide the input width ${layer.inputs} of ${layer.name}; divisors: ${sizes.join(', ')}`;
        return [errorAt('group-size', use.sizePlace, message, sizeSpellings(recipe, use.sizePlace, fitting(sizes, layers)))];
    });
}

const SMALLEST_GROUP = 8;
const LARGEST_LISTED = 256;

/** Group sizes that divide a width, ascending; the width itself when no usual one does. */
function divisors(width: number): number[] {
    const found = [];
    for (let size = SMALLEST_GROUP; size <= LARGEST_LISTED; size++) if (width % size === 0) found.push(size);
    return found.length > 0 ? found : [width];
}

/** Sizes that suit every layer concerned, the largest first. */
function fitting(sizes: readonly number[], layers: readonly Linear[]): number[] {
    return sizes.filter((size) => layers.every(({ inputs }) => inputs % size === 0)).reverse();
}

const MAX_OFFERED = 4;

/** What to write at the place that sets the size; nothing where the size is only the scheme's default. */
function sizeSpellings(recipe: Recipe, place: Place, sizes: readonly number[]): string[] {
    if (place.key?.name === 'group_size') return [...sizes.slice(0, MAX_OFFERED).map(String), 'channel'];
    const patterns = (place.slot?.alternatives ?? []).flatMap(({ schema }) => schema.pattern ?? []);
    const base = place.text.replace(/-(g\d+|channel)$/, '');
    const spellings = [...sizes.map((size) => `${base}-g${size}`), `${base}-channel`];
    return spellings.filter((text) => patterns.some((pattern) => recipe.schema.matches(pattern, text)));
}

/** A budget below the smallest candidates, known from the shapes alone, should not cost a measurement first. */
export function budgetFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const budget = placeAt(recipe.root, ['quantize', 'budget', 'bits_per_weight']);
    const candidates = candidatePlaces(recipe);
    if (typeof budget?.value !== 'number' || !wrong.isRight(budget) || !candidates.every((place) => wrong.isWhollyRight(place))) return [];
    if (candidates.length === 0) {
        return [errorAt('budget-unreachable', budget, 'a budget chooses among the candidates, and there are none')];
    }
    const uses = candidates.flatMap((place) => readUse(recipe, place) ?? []);
    const layers = decidedLayers(recipe, header).get('default') ?? [];
    if (uses.length < candidates.length || layers.length === 0) return [];
    const least = smallestBits(uses, layers, scaleBits(header.dtype));
    if (least === undefined || budget.value >= least) return [];
    const message = `no choice of candidates needs only ${Number(budget.value.toPrecision(6))} bits per weight; the smallest needs ${decimals(least, 3)}`;
    return [errorAt('budget-unreachable', budget, message)];
}

function candidatePlaces(recipe: Recipe): readonly Place[] {
    const candidates = placeAt(recipe.root, ['candidates']);
    return candidates?.kind === 'list' ? candidates.children : [];
}

/** Average stored bits when every layer takes its smallest candidate; undefined: a scheme that the schema says nothing of. */
function smallestBits(uses: readonly Use[], layers: readonly Linear[], bits: number): number | undefined {
    if (uses.some(({ format, groupSize }) => format === undefined || groupSize === undefined)) return undefined;
    let stored = 0;
    let weights = 0;
    for (const { inputs, outputs } of layers) {
        stored += Math.min(...uses.map(({ format, groupSize }) => bitsPerWeight(format!, groupSize ?? null, outputs, inputs, bits))) * inputs * outputs;
        weights += inputs * outputs;
    }
    return stored / weights;
}

/** Scales are stored in the model's own dtype. */
function scaleBits(dtype: string): number {
    return /64$/.test(dtype) ? 64 : /32$/.test(dtype) ? 32 : 16;
}
