import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { layerPattern, type LayerPattern } from '../protocol/pattern';
import { Answers, countOfLayers } from './layers';
import { layerModules, usualPatterns } from './usual-patterns';

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
    const { names, leaves, branches } = continuations(header, head);
    const numbers = [...names.keys()].filter((name) => /^\d+$/.test(name));
    const words = [...names].filter(([name]) => !/^\d+$/.test(name));
    const opening = (name: string): Matching => ({ pattern: `${head}${name}.`, opens: true, layers: below(branches, name) });
    return [
        ...(numbers.length > 0 ? manyOf(numbers).map(opening) : []),
        ...(numbers.length <= MOST_NUMBERS ? numbers.map(opening) : []),
        ...words.flatMap(([name, kind]): Matching[] => kind === 'leaf'
            ? [{ pattern: head + name, opens: false, layers: leaves.get(name) ?? [] }]
            : [opening(name), { pattern: `${head}${name}.*`, opens: false, layers: below(branches, name) }]),
    ];
}

interface Branch {
    /** What the module's name goes on with, wherever the stars before it allow it. */
    readonly next: readonly string[];
    readonly layers: readonly Linear[];
}

interface Continuations {
    /** What comes next in the tree where the stars before it stand for as few levels as they can. */
    readonly names: ReadonlyMap<string, 'leaf' | 'branch'>;
    readonly leaves: ReadonlyMap<string, readonly Linear[]>;
    readonly branches: readonly Branch[];
}

/** One walk over the modules, so that no pattern has to be tried on every layer. */
function continuations(header: CheckpointHeader, head: string): Continuations {
    const inside = layerPattern(head.slice(0, -1));
    const names = new Map<string, 'leaf' | 'branch'>();
    const leaves = new Map<string, Linear[]>();
    const branches: Branch[] = [];
    for (const { path, layers } of layerModules(header)) {
        const next = head === '' ? [path.split('.')[0]!].filter(Boolean) : nextParts(path, inside);
        if (next[0] !== undefined) {
            names.set(next[0], 'branch');
            branches.push({ next, layers });
        }
        if (head === '' ? path !== '' : !inside(path)) continue;
        for (const layer of layers) {
            const leaf = layer.name.slice(layer.name.lastIndexOf('.') + 1);
            if (next.length === 0) names.set(leaf, 'leaf');
            const same = leaves.get(leaf);
            if (same) same.push(layer);
            else leaves.set(leaf, [layer]);
        }
    }
    return { names, leaves, branches };
}

/** What may follow a beginning of a module's name, for each of its beginnings that the pattern of a module matches. */
function nextParts(path: string, inside: LayerPattern): string[] {
    const next: string[] = [];
    for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
        if (!inside(path.slice(0, dot))) continue;
        const end = path.indexOf('.', dot + 1);
        next.push(path.slice(dot + 1, end < 0 ? undefined : end));
    }
    return next;
}

/** Layers below all names that a pattern of one level matches, in execution order. */
function below(branches: readonly Branch[], pattern: string): Linear[] {
    const matches = new Map<string, boolean>();
    const one = layerPattern(pattern);
    return branches.flatMap(({ next, layers }) => {
        const isBelow = next.some((name) => {
            if (!matches.has(name)) matches.set(name, one(name));
            return matches.get(name);
        });
        return isBelow ? layers : [];
    });
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
