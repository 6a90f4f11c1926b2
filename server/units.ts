import { isExpert, type CheckpointHeader, type Family, type Linear } from '../protocol/checkpoint';

/** Layers that get one way to quantize. */
export type Unit = readonly Linear[];

/** Layers of one block that serving engines run as one matrix, block by block, as far as the checkpoint has them. */
export function fusedLayers(header: CheckpointHeader, families: Readonly<Record<string, Family>>): readonly Unit[] {
    const family = Object.hasOwn(families, header.architecture) ? families[header.architecture] : undefined;
    if (!family) return [];
    let sets = known.get(header);
    if (!sets) known.set(header, (sets = findFused(header, family)));
    return sets;
}

/** Of a header that is known the architecture does not change. */
const known = new WeakMap<CheckpointHeader, readonly Unit[]>();

function findFused(header: CheckpointHeader, family: Family): Unit[] {
    const byName = new Map(header.linears.map((linear) => [linear.name, linear]));
    const blocks = [...new Set(header.linears.flatMap(({ block }) => block ?? []))];
    const sets = blocks.flatMap((block) => family.fused.map((parts) => parts.flatMap((part) => byName.get(`${family.blocks}.${block}.${part}`) ?? [])));
    return sets.filter(({ length }) => length > 1);
}

/** The layers in order, those that have to be alike together where the first of them is. */
export function unitsOf(layers: readonly Linear[], header: CheckpointHeader, families: Readonly<Record<string, Family>>): readonly Unit[] {
    let units = ofLayers.get(layers);
    if (!units) ofLayers.set(layers, (units = findUnits(layers, header, families)));
    return units;
}

/** What rules leave over is the same list of layers until one of their patterns changes. */
const ofLayers = new WeakMap<readonly Linear[], readonly Unit[]>();

function findUnits(layers: readonly Linear[], header: CheckpointHeader, families: Readonly<Record<string, Family>>): Unit[] {
    const wanted = new Set(layers);
    const unitOf = new Map<Linear, Unit>();
    for (const members of [...fusedLayers(header, families), header.linears.filter(isExpert)]) {
        const unit = members.filter((member) => wanted.has(member));
        for (const member of unit) unitOf.set(member, unit);
    }
    return [...new Set(layers.map((layer) => unitOf.get(layer) ?? [layer]))];
}
