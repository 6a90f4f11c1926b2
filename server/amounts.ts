/** 4.5 M, 8.03 B: three digits. */
export function amount(count: number): string {
    const [unit, name] = count >= 1e9 ? [1e9, ' B'] : count >= 1e6 ? [1e6, ' M'] : count >= 1e3 ? [1e3, ' k'] : [1, ''];
    return `${Number((count / unit).toPrecision(3))}${name}`;
}

export function bytes(count: number): string {
    const [unit, name] = count >= 1e9 ? [1e9, 'GB'] : count >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
    return `${Number((count / unit).toPrecision(3))} ${name}`;
}
