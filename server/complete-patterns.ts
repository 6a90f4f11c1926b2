import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { layerPattern } from '../protocol/pattern';
import { Answers, countOfLayers, matchingLayers, usualPatterns } from './layers';

/** A pattern to offer, and what it matches; one that `opens` is the beginning of patterns. */
export interface PatternOffer {
    readonly pattern: string;
    readonly opens: boolean;
    /** How many layers, and the first of them. */
    readonly count: string;
    readonly names: string;
}

type Matching = Pick<PatternOffer, 'pattern' | 'opens'> & { readonly layers: readonly Linear[] };

/** Names of a pattern's layers that its documentation lists. */
const MOST_NAMES = 4;
/** More numbers than this are offered by what stands for several of them alone. */
const MOST_NUMBERS = 10;

/** What goes on from the dot before the cursor, level by level through the module tree; then patterns that cover a kind, a block or a part of one. */
export function patternOffers(header: CheckpointHeader, prefix: string): readonly PatternOffer[] {
    return offers.get(header, prefix.slice(0, prefix.lastIndexOf('.') + 1));
}

/** They are the same until the next dot. */
const offers = new Answers(findOffers);

function findOffers(header: CheckpointHeader, head: string): PatternOffer[] {
    const levels = levelOffers(header, head);
    const usual = usualPatterns(header).map((pattern) => ({ ...pattern, opens: false }));
    // Without a dot the usual ones say more than the first names of the tree.
    const ordered = head === '' ? [...usual, ...levels] : [...levels, ...usual];
    const known = new Set<string>();
    const offered = ordered.filter(({ pattern, layers }) => layers.length > 0 && known.size < known.add(pattern).size);
    return offered.map(({ pattern, opens, layers }) => ({ pattern, opens, count: countOfLayers(layers.length), names: firstNames(layers) }));
}

function firstNames(layers: readonly Linear[]): string {
    const names = layers.slice(0, MOST_NAMES).map(({ name }) => `\`${name}\``);
    return [...names, ...(layers.length > MOST_NAMES ? ['…'] : [])].join('  \n');
}

function levelOffers(header: CheckpointHeader, head: string): Matching[] {
    // Behind `*.` anything may stand.
    if (/^\**\.$/.test(head)) return [];
    const inside = layerPattern(head.slice(0, -1));
    const names = new Map<string, 'leaf' | 'branch'>();
    for (const { name } of head === '' ? header.linears : matchingLayers(header, `${head}*`)) {
        const parts = name.split('.');
        // A star may stand for several levels; the fewest are meant.
        const depth = head === '' ? 0 : parts.findIndex((_, index) => index > 0 && inside(parts.slice(0, index).join('.')));
        const next = parts[depth];
        if (depth >= 0 && next !== undefined) names.set(next, depth === parts.length - 1 ? 'leaf' : 'branch');
    }
    const numbers = [...names.keys()].filter((name) => /^\d+$/.test(name));
    const words = [...names].filter(([name]) => !/^\d+$/.test(name));
    const opening = (name: string): Matching => offer(header, `${head}${name}.`, true);
    return [
        ...(numbers.length > 0 ? manyOf(numbers).map(opening) : []),
        ...(numbers.length <= MOST_NUMBERS ? numbers.map(opening) : []),
        ...words.flatMap(([name, kind]) => (kind === 'leaf' ? [offer(header, head + name, false)] : [opening(name), offer(header, `${head}${name}.*`, false)])),
    ];
}

function offer(header: CheckpointHeader, pattern: string, opens: boolean): Matching {
    return { pattern, opens, layers: matchingLayers(header, opens ? `${pattern}*` : pattern) };
}

/** What stands for several numbers: all of them, the first half, the second half, and of many those of one digit and each ten. */
function manyOf(numbers: readonly string[]): string[] {
    const last = Math.max(...numbers.map(Number));
    if (last <= 1) return ['*'];
    const half = Math.floor(last / 2);
    const range = (from: number, to: number): string => (from === to ? String(from) : `[${from}-${to}]`);
    if (last <= 9) return ['*', range(0, half), range(half + 1, last)];
    const tens = Array.from({ length: Math.floor(last / 10) }, (_, index) => `${index + 1}${last >= 10 * (index + 1) + 9 ? '?' : range(0, last % 10)}`);
    return ['*', '?', ...tens];
}
