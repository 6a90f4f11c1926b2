import * as l10n from '@vscode/l10n';
import type { Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { bitsPerWeight, storedBytes, type WeightFormat } from '../protocol/formats';
import type { Decisions } from './decisions';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { placeAt, type Place, type Recipe } from './recipe';
import { unitsOf, type Unit } from './units';
import type { Use } from './uses';

/** What the shapes alone tell of a budget: that no choice of candidates keeps it, or that every one does. Neither should cost a measurement first. */
export function budgetFindings(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): Finding[] {
    const limit = budgetLimit(recipe, wrong);
    const list = placeAt(recipe.root, ['candidates']);
    if (!limit || (list && !wrong.isRight(list))) return [];
    if (decisions.candidatePlaces.length === 0) return [errorAt('budget-unreachable', limit, l10n.t('a budget chooses among the candidates, and there are none'))];
    if (nothingIsLeft(recipe, decisions, wrong)) return [idle(limit, l10n.t('rules decide about every layer: the budget chooses nothing'))];
    const choices = allChoices(recipe, decisions);
    if (!choices) return [];
    const scale = scaleBytes(decisions.header.dtype);
    const findings = limit.key?.name === 'bits_per_weight' ? bitsFindings(limit, choices, scale) : sizeFindings(limit, choices, decisions.header.bytes, scale);
    // A second limit may be the one that was meant.
    return limit.parent && wrong.isWhollyRight(limit.parent) ? findings : findings.filter(({ code }) => code !== 'budget-idle');
}

function idle(limit: Place, message: string): Finding {
    return { ...errorAt('budget-idle', limit, message), severity: 'warning' };
}

/** No layer is left to a budget: rules, all of them right, name those of the blocks. */
function nothingIsLeft(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): boolean {
    const rules = placeAt(recipe.root, ['quantize', 'rules']);
    return rules !== undefined && wrong.isWhollyRight(rules) && decisions.header.linears.length > 0 && !decisions.layers.has('default');
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

/** What a budget chooses about, beside what rules quantize. */
interface Choices {
    readonly units: readonly Unit[];
    readonly fixed: readonly (readonly [Linear, Stored])[];
    readonly candidates: readonly Stored[];
}

/** undefined: there is nothing to choose, or not everything that counts is known. */
function allChoices(recipe: Recipe, decisions: Decisions): Choices | undefined {
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

interface Bounds {
    readonly smallest: number;
    readonly largest: number;
}

/** Every unit at its smallest candidate, and every one at its largest. */
function bounds({ units, fixed, candidates }: Choices, what: string, of: (layer: Linear, stored: Stored) => number): Bounds {
    const rest = sum(fixed, ([layer, kept]) => of(layer, kept));
    const key = JSON.stringify([what, candidates]);
    let free = known.get(units);
    if (free?.key !== key) {
        const costs = units.map((unit) => candidates.map((candidate) => sum(unit, (layer) => of(layer, candidate))));
        free = { key, smallest: sum(costs, (each) => Math.min(...each)), largest: sum(costs, (each) => Math.max(...each)) };
        known.set(units, free);
    }
    return { smallest: rest + free.smallest, largest: rest + free.largest };
}

/** What is left to a budget is the same until a pattern or a candidate changes. */
const known = new WeakMap<readonly Unit[], Bounds & { readonly key: string }>();

function bitsFindings(limit: Place, choices: Choices, scale: number): Finding[] {
    const weights = sum([...choices.units.flat(), ...choices.fixed.map(([layer]) => layer)], ({ outputs, inputs }) => outputs * inputs);
    const { smallest, largest } = bounds(choices, `bits ${scale}`, ({ outputs, inputs }, { format, groupSize }) => Math.round(bitsPerWeight(format, groupSize, outputs, inputs, 8 * scale) * outputs * inputs));
    const [least, most] = [decimals(smallest / weights, 3), decimals(largest / weights, 3)];
    if (typeof limit.value !== 'number') return [];
    if (limit.value < smallest / weights) {
        const asked = String(Number(limit.value.toPrecision(6)));
        const message = smallest === largest
            ? l10n.t('no choice of candidates needs only {0} bits per weight; the smallest needs {1}', asked, least)
            : l10n.t('no choice of candidates needs only {0} bits per weight; the smallest needs {1}, the largest {2}', asked, least, most);
        return [errorAt('budget-unreachable', limit, message)];
    }
    if (limit.value < largest / weights) return [];
    return [idle(limit, smallest === largest
        ? l10n.t('every choice of candidates keeps the budget: all need {0} bits per weight', least)
        : l10n.t('every choice of candidates keeps the budget: the smallest needs {0} bits per weight, the largest {1}', least, most))];
}

const thousands = new Intl.NumberFormat('en-US');

function sizeFindings(limit: Place, choices: Choices, original: number, scale: number): Finding[] {
    const asked = parseSize(limit.text);
    const added = bounds(choices, `bytes ${scale}`, ({ outputs, inputs, bytes: before }, { format, groupSize }) => storedBytes(format, groupSize, outputs, inputs, scale) - before);
    const { smallest, largest } = { smallest: original + added.smallest, largest: original + added.largest };
    const [least, most] = [thousands.format(smallest), thousands.format(largest)];
    if (asked === undefined) return [];
    if (asked < smallest) {
        const message = smallest === largest
            ? l10n.t('no choice of candidates needs only {0}; the smallest needs {1} bytes', limit.text, least)
            : l10n.t('no choice of candidates needs only {0}; the smallest needs {1} bytes, the largest {2}', limit.text, least, most);
        return [errorAt('budget-unreachable', limit, message)];
    }
    if (asked < largest) return [];
    return [idle(limit, smallest === largest
        ? l10n.t('every choice of candidates keeps the budget: all need {0} bytes', least)
        : l10n.t('every choice of candidates keeps the budget: the smallest needs {0} bytes, the largest {1}', least, most))];
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
export function scaleBytes(dtype: string): number {
    return /64$/.test(dtype) ? 8 : /32$/.test(dtype) ? 4 : 2;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
    return items.reduce((total, item) => total + value(item), 0);
}
