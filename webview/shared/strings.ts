let table: Readonly<Record<string, string>> = {};

/** Takes over the host's translations; a string that is missing there stays English. */
export function setStrings(strings: Readonly<Record<string, string>>): void {
    table = strings;
}

/** The translation of an English text; `{0}`, `{1}` … are replaced by the arguments. */
export function t(english: string, ...values: readonly (string | number)[]): string {
    const text = Object.hasOwn(table, english) ? (table[english] ?? english) : english;
    return text.replace(/\{(\d+)\}/g, (whole, index: string) => String(values[Number(index)] ?? whole));
}
