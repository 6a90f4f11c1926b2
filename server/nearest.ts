import * as l10n from '@vscode/l10n';

/** Edit distance with transpositions of neighbours (optimal string alignment). */
export function distance(a: string, b: string): number {
    let beforeLast: number[] = [];
    let last = Array.from({ length: b.length + 1 }, (_, index) => index);
    for (let i = 1; i <= a.length; i++) {
        const current = [i];
        for (let j = 1; j <= b.length; j++) {
            const same = a[i - 1] === b[j - 1];
            let best = Math.min(last[j]! + 1, current[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, beforeLast[j - 2]! + 1);
            current.push(best);
        }
        beforeLast = last;
        last = current;
    }
    return last[b.length]!;
}

/** Longer words are not compared: the distance costs time in proportion to both lengths. */
const MAX_LENGTH = 200;

/** The candidate that `word` was probably meant to be, upper case or not, by the rule of docs/diagnostics.md; the first of equally near ones. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
    if (word.length > MAX_LENGTH) return undefined;
    const lower = word.toLowerCase();
    let best: string | undefined;
    let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
    for (const candidate of candidates) {
        if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
        const candidateDistance = distance(lower, candidate.toLowerCase());
        if (candidateDistance < bestDistance) {
            best = candidate;
            bestDistance = candidateDistance;
        }
    }
    return best;
}

/**
 * What a sentence about an unknown name offers: the nearest known one, or a list. Names that begin as `word` does up to its first hyphen come
 * alone, if there are any: `smoothquant` lacks its scheme, and is not something else.
 */
export function suggestion(word: string, known: readonly string[]): { readonly hint: string; readonly near: string | undefined; readonly names: readonly string[] } {
    const beginning = word.split('-')[0]!.toLowerCase();
    const alike = beginning === '' ? [] : known.filter((name) => name.toLowerCase().startsWith(beginning));
    const names = alike.length > 0 ? alike : known;
    const near = nearest(word, names);
    return { near, names, hint: near === undefined ? l10n.t('expected one of: {0}', listed(names)) : l10n.t('did you mean "{0}"?', near) };
}

const MAX_LISTED = 12;

/** Names joined by commas, cut where a sentence would become a page. */
export function listed(names: readonly string[]): string {
    return names.length > MAX_LISTED ? `${names.slice(0, MAX_LISTED).join(', ')}, …` : names.join(', ');
}
