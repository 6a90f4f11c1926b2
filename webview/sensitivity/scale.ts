import { inkOn, luminance, mix, toHex, withLuminance, type Rgb } from '../shared/color';
import type { Model } from './model';
import { finiteValues, quantile } from './statistics';

/** Between which dB values the colours run, and how these were found. */
export interface Limits {
    readonly low: number;
    readonly high: number;
    readonly rule: 'range' | 'percentiles';
}

/** From this many values on the limits ignore the outer 2 % on both sides, so that one outlier does not flatten all other colours. */
const ENOUGH_FOR_PERCENTILES = 200;
const TAIL = 0.02;

/** Colour limits for ascending values; null when there is none. */
export function limitsOf(sorted: Float64Array): Limits | null {
    if (sorted.length === 0) return null;
    const robust = sorted.length >= ENOUGH_FOR_PERCENTILES;
    const low = quantile(sorted, robust ? TAIL : 0);
    const high = quantile(sorted, robust ? 1 - TAIL : 1);
    const rule = robust ? 'percentiles' : 'range';
    return high > low ? { low, high, rule } : { low: low - 0.5, high: high + 0.5, rule };
}

/** The limits of each column: common ones, or its own, so that layers of one candidate can be told apart. */
export function limitsByColumn(model: Model, scale: 'all' | 'column'): (Limits | null)[] {
    const all = model.columns.map((_, column) => column);
    if (scale === 'column') return all.map((column) => limitsOf(finiteValues(model.rows, [column])));
    const common = limitsOf(finiteValues(model.rows, all));
    return all.map(() => common);
}

/** Where a value lies between the limits, 0…1. */
export function position(value: number, limits: Limits): number {
    return Math.min(1, Math.max(0, (value - limits.low) / (limits.high - limits.low)));
}

export interface Paint {
    readonly fill: string;
    /** Black or white, at least 4.5 : 1 on the fill, in high contrast 7 : 1. */
    readonly ink: string;
}

export interface Ramp {
    at(share: number): Paint;
    /** Colours for the legend, from low to high. */
    readonly samples: readonly string[];
    /** In bands of one colour each, and not flowing. */
    readonly banded: boolean;
}

const STEPS = 256;

function between(low: Rgb, middle: Rgb, high: Rgb, share: number): Rgb {
    return share < 0.5 ? mix(low, middle, share * 2) : mix(middle, high, share * 2 - 1);
}

/** A sequential ramp through three colours in OKLab, precomputed so that painting a cell is a look-up. */
export function rampOf(low: Rgb, middle: Rgb, high: Rgb): Ramp {
    const paints = Array.from({ length: STEPS }, (_, step): Paint => {
        const color = between(low, middle, high, step / (STEPS - 1));
        return { fill: toHex(color), ink: inkOn(color) };
    });
    const last = paints[STEPS - 1] as Paint;
    const at = (share: number): Paint => paints[Math.round(Math.min(1, Math.max(0, share)) * (STEPS - 1))] ?? last;
    return { at, samples: Array.from({ length: 9 }, (_, step) => at(step / 8).fill), banded: false };
}

/**
 * Luminances of the bands in high contrast. No ink reads at 7 : 1 between 0.1 and 0.3; outside of that each band contrasts with the next by at least
 * 1.3 : 1, which neighbours of a flowing scale do not.
 */
const BANDS = [0.012, 0.047, 0.097, 0.305, 0.42, 0.58, 0.8];

/** The hues of a ramp in bands that are told apart, and read, by their lightness alone. */
export function bandsOf(low: Rgb, middle: Rgb, high: Rgb): Ramp {
    const bands = luminance(low) <= luminance(high) ? BANDS : BANDS.toReversed();
    const paints = bands.map((band, index): Paint => {
        const color = withLuminance(between(low, middle, high, index / (bands.length - 1)), band);
        return { fill: toHex(color), ink: inkOn(color) };
    });
    const last = paints[paints.length - 1] as Paint;
    return { at: (share) => paints[Math.floor(Math.min(1, Math.max(0, share)) * paints.length)] ?? last, samples: paints.map(({ fill }) => fill), banded: true };
}
