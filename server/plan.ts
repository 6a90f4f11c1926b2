import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { bitsPerWeight, storedBytes } from '../protocol/formats';
import { Decisions } from './decisions';
import { WrongPlaces } from './finding';
import { placeAt, type Recipe } from './recipe';
import { unitsOf } from './units';
import type { Use } from './uses';

/** What a recipe makes of a checkpoint, from shapes alone. */
export interface Plan {
    /** Average stored bits of the quantized layers' weights, scales and zero points included. */
    readonly bitsPerWeight: number;
    /** Of all tensors of the written checkpoint. */
    readonly bytes: number;
    /** Weights that are quantized. */
    readonly weights: number;
}

/** What can be had by a choice of candidates, rules as they are: the smallest and the largest. */
export interface Reachable {
    readonly least: Plan;
    readonly most: Plan;
}

/** Scales are stored in the model's own dtype. */
function scaleBytes(dtype: string): number {
    return /64$/.test(dtype) ? 8 : /32$/.test(dtype) ? 4 : 2;
}

class Sum {
    private weights = 0;
    private bits = 0;
    private bytes: number;
    private readonly scale: number;

    constructor(header: CheckpointHeader) {
        this.bytes = header.bytes;
        this.scale = scaleBytes(header.dtype);
    }

    add({ outputs, inputs, bytes }: Linear, { format, groupSize }: Use): void {
        const count = outputs * inputs;
        this.weights += count;
        this.bits += count * bitsPerWeight(format!, groupSize!, outputs, inputs, 8 * this.scale);
        this.bytes += storedBytes(format!, groupSize!, outputs, inputs, this.scale) - bytes;
    }

    plan(): Plan | undefined {
        return this.weights === 0 ? undefined : { bitsPerWeight: this.bits / this.weights, bytes: this.bytes, weights: this.weights };
    }
}

function isKnown(use: Use): boolean {
    return use.format !== undefined && use.groupSize !== undefined;
}

/** By default and rules; undefined: a budget chooses, nothing is quantized, or not all of it can be read. */
export function plannedSize(recipe: Recipe, header: CheckpointHeader): Plan | undefined {
    if (placeAt(recipe.root, ['quantize', 'budget'])?.kind === 'mapping') return undefined;
    const decisions = new Decisions(recipe, header, new WrongPlaces([]));
    const sum = new Sum(header);
    return addDecided(sum, decisions, () => true) ? sum.plan() : undefined;
}

/** By a budget's choice among the candidates; undefined: there are none, or not everything can be read. */
export function reachable(recipe: Recipe, header: CheckpointHeader): Reachable | undefined {
    const decisions = new Decisions(recipe, header, new WrongPlaces([]));
    const { candidates } = decisions;
    const free = decisions.layers.get('default') ?? [];
    if (candidates.length === 0 || free.length === 0 || candidates.length < decisions.candidatePlaces.length || !candidates.every(isKnown)) return undefined;
    const [least, most] = [new Sum(header), new Sum(header)];
    if (![least, most].every((sum) => addDecided(sum, decisions, (decider) => decider !== 'default'))) return undefined;
    const scale = scaleBytes(header.dtype);
    for (const unit of unitsOf(free, header, recipe.schema.architectures)) {
        const cost = ({ format, groupSize }: Use): number => unit.reduce((total, { outputs, inputs }) => total + storedBytes(format!, groupSize!, outputs, inputs, scale), 0);
        const sorted = [...candidates].sort((a, b) => cost(a) - cost(b));
        for (const layer of unit) {
            least.add(layer, sorted[0]!);
            most.add(layer, sorted.at(-1)!);
        }
    }
    const [smallest, largest] = [least.plan(), most.plan()];
    return smallest && largest && { least: smallest, most: largest };
}

/** false: what one of them says cannot be read. */
function addDecided(sum: Sum, decisions: Decisions, counts: (decider: number | 'default') => boolean): boolean {
    for (const [decider, layers] of decisions.layers) {
        if (!counts(decider)) continue;
        const place = decisions.placeOf(decider);
        const use = decisions.useOf(decider);
        if (!place || (use === null && place.value !== 'none') || use === undefined || (use && !isKnown(use))) return false;
        if (use) for (const layer of layers) sum.add(layer, use);
    }
    return true;
}

/** Between the ends of what can be reached bytes and bits go up together. */
export function bytesAt({ least, most }: Reachable, bitsWanted: number): number {
    const share = most.bitsPerWeight === least.bitsPerWeight ? 0 : (bitsWanted - least.bitsPerWeight) / (most.bitsPerWeight - least.bitsPerWeight);
    return least.bytes + Math.min(1, Math.max(0, share)) * (most.bytes - least.bytes);
}

export function bitsAt({ least, most }: Reachable, bytesWanted: number): number {
    const share = most.bytes === least.bytes ? 0 : (bytesWanted - least.bytes) / (most.bytes - least.bytes);
    return least.bitsPerWeight + Math.min(1, Math.max(0, share)) * (most.bitsPerWeight - least.bitsPerWeight);
}
