const formats = new Map<number, Intl.NumberFormat>();

/**
 * A number with this many decimals and a point. A tie goes to the even digit, as in everything that the engine prints: the 4.125 bits of four-bit
 * groups of 128 are 4.12 on the command line, in the editor and in the panel. (`toFixed` would say 4.13.)
 */
export function decimals(value: number, digits: number): string {
    let format = formats.get(digits);
    if (!format) {
        format = new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false, roundingMode: 'halfEven' });
        formats.set(digits, format);
    }
    return format.format(value);
}
