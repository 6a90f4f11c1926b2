import { inkOn, mix, toHex, type Rgb } from '../shared/color';
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
    /** Black or white, at least 4.5 : 1 on the fill. */
    readonly ink: string;
}

export interface Ramp {
    at(share: number): Paint;
}

const STEPS = 256;

/** A sequential ramp through three colours in OKLab, precomputed so that painting a cell is a look-up. */
export function rampOf(low: Rgb, middle: Rgb, high: Rgb): Ramp {
    const paints = Array.from({ length: STEPS }, (_, step): Paint => {
        const share = step / (STEPS - 1);
        const color = share < 0.5 ? mix(low, middle, share * 2) : mix(middle, high, share * 2 - 1);
        return { fill: toHex(color), ink: inkOn(color) };
    });
    const last = paints[STEPS - 1] as Paint;
    return { at: (share) => paints[Math.round(Math.min(1, Math.max(0, share)) * (STEPS - 1))] ?? last };
}
