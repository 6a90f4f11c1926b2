const formats = new Map<string, Intl.NumberFormat>();

/** A number with this many decimals and a point. A tie goes to the even digit, as in everything that the engine prints. (`toFixed` would round it up.) */
export function decimals(value: number, digits: number, fewest = digits): string {
    const key = `${fewest}…${digits}`;
    let format = formats.get(key);
    if (!format) {
        format = new Intl.NumberFormat('en-US', { minimumFractionDigits: fewest, maximumFractionDigits: digits, useGrouping: false, roundingMode: 'halfEven' });
        formats.set(key, format);
    }
    return format.format(value);
}

/**
 * How many decimals figures get on the command line, in the editor and in the panel alike (`quant_engine/figures.py` is the engine's side): bits per
 * weight at most three, so that the 4.125 bits of four-bit groups of 128 are all there, 4.5 stays 4.5, and other numbers as the functions below say.
 */
export const BITS_DECIMALS = 3;
const SIGNIFICANT = 4;
const MOST = 9;

export function bits(value: number): string {
    return decimals(value, BITS_DECIMALS, 0);
}

/** Decimals that show four significant digits. */
export function significantDecimals(value: number): number {
    if (value === 0 || !Number.isFinite(value)) return SIGNIFICANT - 1;
    const exponent = Number(value.toExponential(SIGNIFICANT - 1).split('e')[1]);
    return Math.min(MOST, Math.max(0, SIGNIFICANT - 1 - exponent));
}

/** Decimals for numbers that stand side by side: four significant digits of each, and more where two that differ would look the same. */
export function comparableDecimals(values: readonly number[]): number {
    const distinct = new Set(values).size;
    let digits = Math.max(...values.map(significantDecimals));
    while (digits < MOST && new Set(values.map((value) => decimals(value, digits))).size < distinct) digits++;
    return digits;
}
