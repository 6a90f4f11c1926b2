import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { layerPattern } from '../protocol/pattern';
import { matchingLayers, openNumbers } from './layers';

/** Layers that follow each other in one module; `path` is its name, empty at the top. */
export interface LayerModule {
    readonly path: string;
    readonly layers: readonly Linear[];
}

export interface UsualPattern {
    readonly pattern: string;
    readonly layers: readonly Linear[];
}

const modules = new WeakMap<CheckpointHeader, readonly LayerModule[]>();
const usual = new WeakMap<CheckpointHeader, readonly UsualPattern[]>();

export function layerModules(header: CheckpointHeader): readonly LayerModule[] {
    return remembered(modules, header, () => groupModules(header.linears));
}

/**
 * Patterns worth offering: each kind of layer everywhere, each block, each part of a block, and layers outside the blocks. Experts are one part, with one
 * kind of each layer: each by itself would be hundreds of patterns, each tried on ten thousands of names.
 */
export function usualPatterns(header: CheckpointHeader): readonly UsualPattern[] {
    return remembered(usual, header, () => findUsualPatterns(header));
}

function remembered<T>(known: WeakMap<CheckpointHeader, T>, header: CheckpointHeader, find: () => T): T {
    let found = known.get(header);
    if (found === undefined) known.set(header, (found = find()));
    return found;
}

function groupModules(linears: readonly Linear[]): LayerModule[] {
    const found: { readonly path: string; readonly layers: Linear[] }[] = [];
    for (const linear of linears) {
        const path = linear.name.slice(0, Math.max(0, linear.name.lastIndexOf('.')));
        const last = found.at(-1);
        if (last?.path === path) last.layers.push(linear);
        else found.push({ path, layers: [linear] });
    }
    return found;
}

function findUsualPatterns(header: CheckpointHeader): UsualPattern[] {
    const blocks = new Groups();
    const outside: Linear[] = [];
    /** By what stands between block and layer, with its numbers open. */
    const inBlocks = new Map<string, Groups>();
    for (const { path, layers } of layerModules(header)) {
        const block = /^.*?\.\d+(?=\.|$)/.exec(path)?.[0];
        if (block === undefined || layers.some((linear) => linear.block === null)) {
            outside.push(...layers);
            continue;
        }
        for (const linear of layers) blocks.add(block, linear);
        const part = `${openNumbers(path.slice(block.length + 1))}.`;
        let kinds = inBlocks.get(part);
        if (!kinds) inBlocks.set(part, (kinds = new Groups()));
        for (const linear of layers) kinds.add(linear.name.slice(path.length + 1), linear);
    }
    const inside = [...inBlocks].flatMap(([part, kinds]) => [...kinds.groups].map(([leaf, layers]) => ({ pattern: `*${part === '.' ? '' : '.'}${part}${leaf}`, layers })));
    const parts = new Set([...inBlocks.keys()].map((part) => part.split('*')[0]!).filter((part) => part.length > 1));
    const single = outside.map((linear) => ({ pattern: linear.name, layers: [linear] }));
    const wholeBlocks = [...blocks.groups].map(([block, layers]) => ({ pattern: `${block}.*`, layers }));
    const everywhere = [...inside.map(({ pattern }) => pattern), ...[...parts].map((part) => `*.${part}*`)];
    return [...everywhere.map((pattern) => ({ pattern, layers: matchingGroups(header, pattern, [...inside, ...single]) })), ...single, ...wholeBlocks];
}

/** Whether a pattern without numbers matches is the same for all names that differ in numbers only. */
function matchingGroups(header: CheckpointHeader, pattern: string, groups: readonly UsualPattern[]): readonly Linear[] {
    const matches = layerPattern(pattern);
    const [first, ...more] = groups.filter(({ layers }) => matches(layers[0]!.name));
    return first && more.length === 0 ? first.layers : matchingLayers(header, pattern);
}

class Groups {
    readonly groups = new Map<string, Linear[]>();

    add(name: string, linear: Linear): void {
        const group = this.groups.get(name);
        if (group) group.push(linear);
        else this.groups.set(name, [linear]);
    }
}
