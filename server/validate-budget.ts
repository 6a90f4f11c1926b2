import type { Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { bitsPerWeight, storedBytes, type WeightFormat } from '../protocol/formats';
import type { Decisions } from './decisions';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { placeAt, type Place, type Recipe } from './recipe';
import { unitsOf, type Unit } from './units';
import type { Use } from './uses';

/** A budget below the smallest candidates, known from the shapes alone, should not cost a measurement first. */
export function budgetFindings(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): Finding[] {
    const limit = budgetLimit(recipe, wrong);
    const list = placeAt(recipe.root, ['candidates']);
    if (!limit || (list && !wrong.isRight(list))) return [];
    if (decisions.candidatePlaces.length === 0) return [errorAt('budget-unreachable', limit, 'a budget chooses among the candidates, and there are none')];
    const smallest = smallestChoice(recipe, decisions);
    if (!smallest) return [];
    const scale = scaleBytes(decisions.header.dtype);
    const bits = limit.key?.name === 'bits_per_weight';
    const needs = bits ? bitsSentence(limit, smallest, scale) : sizeSentence(limit, smallest, decisions.header.bytes, scale);
    return needs === undefined ? [] : [errorAt('budget-unreachable', limit, `no choice of candidates needs only ${needs}`)];
}

/** The value of the budget's one key. */
function budgetLimit(recipe: Recipe, wrong: WrongPlaces): Place | undefined {
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    const exclusive = budget?.shape?.['x-exactly-one'] ?? [];
    return budget?.children.find((place) => exclusive.includes(place.key?.name ?? '') && place.kind !== 'nothing' && wrong.isRight(place));
}

interface Stored {
    readonly format: WeightFormat;
    readonly groupSize: number | null;
}

/** Every unit at its smallest candidate, beside what rules quantize. */
interface Smallest {
    readonly units: readonly Unit[];
    readonly fixed: readonly (readonly [Linear, Stored])[];
    readonly candidates: readonly Stored[];
}

/** undefined: there is nothing to choose, or not everything that counts is known. */
function smallestChoice(recipe: Recipe, decisions: Decisions): Smallest | undefined {
    const candidates = decisions.candidates.map(stored);
    const free = decisions.layers.get('default') ?? [];
    const fixed: [Linear, Stored][] = [];
    for (const [decider, layers] of decisions.layers) {
        if (decider === 'default') continue;
        const use = decisions.useOf(decider);
        if (use === null) continue;
        const kept = use && stored(use);
        if (!kept) return undefined;
        fixed.push(...layers.map((layer): [Linear, Stored] => [layer, kept]));
    }
    const known = candidates.filter((candidate) => candidate !== undefined);
    if (known.length < decisions.candidatePlaces.length || free.length === 0) return undefined;
    return { units: unitsOf(free, decisions.header, recipe.schema.architectures), fixed, candidates: known };
}

function stored({ format, groupSize }: Use): Stored | undefined {
    return format && groupSize !== undefined ? { format, groupSize } : undefined;
}

function cost({ units, fixed, candidates }: Smallest, of: (layer: Linear, stored: Stored) => number): number {
    const least = (unit: Unit): number => Math.min(...candidates.map((candidate) => sum(unit, (layer) => of(layer, candidate))));
    return sum(units, least) + sum(fixed, ([layer, kept]) => of(layer, kept));
}

function bitsSentence(limit: Place, smallest: Smallest, scale: number): string | undefined {
    const weights = sum([...smallest.units.flat(), ...smallest.fixed.map(([layer]) => layer)], ({ outputs, inputs }) => outputs * inputs);
    const bits = cost(smallest, ({ outputs, inputs }, { format, groupSize }) => Math.round(bitsPerWeight(format, groupSize, outputs, inputs, 8 * scale) * outputs * inputs));
    if (typeof limit.value !== 'number' || limit.value >= bits / weights) return undefined;
    return `${Number(limit.value.toPrecision(6))} bits per weight; the smallest needs ${decimals(bits / weights, 3)}`;
}

const thousands = new Intl.NumberFormat('en-US');

function sizeSentence(limit: Place, smallest: Smallest, original: number, scale: number): string | undefined {
    const asked = parseSize(limit.text);
    const bytes = original + cost(smallest, ({ outputs, inputs, bytes: before }, { format, groupSize }) => storedBytes(format, groupSize, outputs, inputs, scale) - before);
    return asked === undefined || asked >= bytes ? undefined : `${limit.text}; the smallest needs ${thousands.format(bytes)} bytes`;
}

const SIZE_UNITS: Readonly<Record<string, bigint>> = {
    B: 1n, kB: 10n ** 3n, MB: 10n ** 6n, GB: 10n ** 9n, TB: 10n ** 12n, KiB: 2n ** 10n, MiB: 2n ** 20n, GiB: 2n ** 30n, TiB: 2n ** 40n,
};

/** Bytes that a text such as `5 GB` (decimal) or `4.5 GiB` (binary) means, fractions of a byte cut off; undefined: it is no size. */
export function parseSize(text: string): number | undefined {
    const [, whole, fraction = '', name = ''] = /^([0-9]+)(?:\.([0-9]+))? ?([a-zA-Z]+)$/.exec(text) ?? [];
    const unit = SIZE_UNITS[name];
    return whole === undefined || unit === undefined ? undefined : Number((BigInt(whole + fraction) * unit) / 10n ** BigInt(fraction.length));
}

/** Scales are stored in the model's own dtype. */
function scaleBytes(dtype: string): number {
    return /64$/.test(dtype) ? 8 : /32$/.test(dtype) ? 4 : 2;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
    return items.reduce((total, item) => total + value(item), 0);
}
