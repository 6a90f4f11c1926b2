import * as l10n from '@vscode/l10n';
import type { Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { bitsPerWeight } from '../protocol/formats';
import type { Decisions } from './decisions';
import { modelFact, RUNS, type Facts } from './facts';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import type { Use } from './uses';
import { dividing } from './uses';
import { scaleBytes } from './validate-budget';

/** Tokens that importance is measured on at most. */
const IMPORTANCE_TOKENS = 32_768;
const LONGEST = 2 ** 20;

/** A disk with less room than the quantized checkpoint and the run's resume data are estimated to need, as the engine estimates it (docs/diagnostics.md#disk-space). */
export function diskFindings(recipe: Recipe, decisions: Decisions, facts: Facts, wrong: WrongPlaces): Finding[] {
    const place = placeAt(recipe.root, ['output']);
    const [target, runs] = [facts.disks?.get(place?.text ?? ''), facts.disks?.get(RUNS)];
    if (!place || !wrong.isRight(place) || !target || !runs) return [];
    const { output, state, apart } = needs(recipe, decisions, facts, wrong);
    const sameDisk = target.device === runs.device;
    const wanted = sameDisk ? [{ shown: place.text, needed: output + state, free: target.free }] : [
        { shown: place.text, needed: output, free: target.free }, { shown: facts.runs ?? RUNS, needed: apart, free: runs.free },
    ];
    return wanted.filter(({ needed, free }) => needed > free).map(({ shown, needed, free }) =>
        errorAt('disk-space', place, l10n.t('about {0} are needed for "{1}", {2} are free', formatBytes(needed), shown, formatBytes(free))));
}

interface Needs {
    /** Bytes of the written checkpoint. */
    readonly output: number;
    /** Bytes of resume data on the same disk, and on a disk of their own. */
    readonly state: number;
    readonly apart: number;
}

function needs(recipe: Recipe, decisions: Decisions, facts: Facts, wrong: WrongPlaces): Needs {
    const { header } = decisions;
    const scale = scaleBytes(header.dtype);
    const quantized = [...decisions.layers].flatMap(([decider, layers]) => {
        const use = decisions.useOf(decider);
        return use ? layers.filter(({ inputs }) => inputs % (dividing(use) ?? 1) === 0).map((layer) => ({ layer, bytes: bytesOf(layer, use, scale) })) : [];
    });
    const pieces = quantized.reduce((sum, { bytes }) => sum + bytes, 0);
    const replaced = quantized.reduce((sum, { layer }) => sum + layer.bytes, 0);
    const output = withMargin(header.bytes - replaced + pieces);
    const tokens = calibrationTokens(recipe, header.maximumTokens, wrong);
    // Without calibration data the output itself grows in the run's state.
    if (tokens === 0) return { output, state: withMargin(0), apart: output };
    const hidden = tokens * (modelFact(recipe, facts)?.hiddenSize ?? 0) * scale;
    const weighed = weighs(recipe, wrong) ? (header.blocks + 2) * hidden * Math.min(1, IMPORTANCE_TOKENS / tokens) : 0;
    const state = withMargin(Math.max(2 * hidden + pieces, weighed));
    return { output, state, apart: state };
}

function bytesOf({ outputs, inputs }: Linear, { format, groupSize }: Use, scale: number): number {
    return format && groupSize !== undefined ? (bitsPerWeight(format, groupSize, outputs, inputs, 8 * scale) * outputs * inputs) / 8 : 0;
}

/** With headers, index, config and journal beside the tensors. */
function withMargin(tensorBytes: number): number {
    return Math.floor(1.02 * tensorBytes) + 100_000;
}

/** At most; 0 without calibration data. */
function calibrationTokens(recipe: Recipe, maximum: number | null, wrong: WrongPlaces): number {
    const section = placeAt(recipe.root, ['calibration']);
    if (!section || section.kind === 'nothing') return 0;
    const [samples, length] = [numberAt(section, 'samples', wrong), numberAt(section, 'sequence_length', wrong)];
    const usual = (name: string): number => Number(section.shape?.properties?.[name]?.default ?? 0);
    return (samples ?? usual('samples')) * (length ?? Math.min(usual('sequence_length'), maximum ?? LONGEST));
}

function numberAt(section: Place, name: string, wrong: WrongPlaces): number | undefined {
    const place = childNamed(section, name);
    return place && wrong.isRight(place) && typeof place.value === 'number' ? place.value : undefined;
}

/** Whether a budget weighs noise by importance. */
function weighs(recipe: Recipe, wrong: WrongPlaces): boolean {
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    const isRight = (place: Place | undefined): place is Place => place !== undefined && place.kind !== 'nothing' && wrong.isRight(place);
    const isLimited = ['bits_per_weight', 'size'].some((name) => isRight(childNamed(budget, name)));
    const written = childNamed(budget, 'objective');
    return isLimited && (isRight(written) ? written.value : budget?.shape?.properties?.objective?.default) === 'importance';
}

/** Decimal units, as disks are sold. */
function formatBytes(count: number): string {
    for (const [power, unit] of ['B', 'kB', 'MB', 'GB'].entries()) {
        const value = count / 1000 ** power;
        if (value < 1000) return `${decimals(value, power === 0 ? 0 : 1)} ${unit}`;
    }
    return `${decimals(count / 1e12, 1)} TB`;
}
