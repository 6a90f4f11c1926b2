import { isDeepStrictEqual } from 'node:util';
import type { SchemeFormat } from '../protocol/formats';
import { childNamed, placeAt, plainValue, type Place, type Recipe } from './recipe';
import type { RecipeSchema, ShortForm, Slot } from './schema';

/** A way to quantize that a recipe names: `gptq-w4a16-g64` or `{ method: gptq, scheme: W4A16, group_size: 64 }`. */
export interface Use {
    readonly method: string;
    readonly scheme: string;
    readonly format: SchemeFormat | undefined;
    /** null: one scale for each output row; undefined: unknown. */
    readonly groupSize: number | null | undefined;
    /** The value that decides the group size. */
    readonly sizePlace: Place;
    /** Whether groups are made in another order than their columns have, which is stored with the layer. */
    readonly ordersGroups: boolean;
}

interface ShortName {
    readonly method: string;
    readonly scheme: string;
    readonly groupSize: number | null | undefined;
}

const SUFFIX = /^(.+?)(?:-g(\d+)|-(channel))?$/;

/** The format of the written checkpoint, as far as it is one that the schema knows. */
export function outputFormat(recipe: Recipe): string {
    const place = placeAt(recipe.root, ['output_format']);
    const isKnown = place?.slot?.alternatives.some(({ schema }) => schema.enum?.includes(place.value)) === true;
    return isKnown && typeof place.value === 'string' ? place.value : 'compressed-tensors';
}

/** The output formats of which an argument's value takes one; undefined: it takes any. */
export function neededOutputs({ slot, text }: Place): readonly string[] | undefined {
    return slot?.alternatives.flatMap(({ schema }) => (schema['x-needs-output']?.[text] ? [schema['x-needs-output'][text]] : []))[0];
}

/** What is stored of a scheme's layers; GPTQ's layouts have more than the scheme asks for. */
function storedFormat(recipe: Recipe, scheme: string): SchemeFormat | undefined {
    const format = recipe.schema.schemes[scheme];
    const output = outputFormat(recipe);
    return format && output !== 'compressed-tensors' && format.outputs.includes(output) ? { ...format, is_gptq: true } : format;
}

/** What has to divide the input width of a layer with this use: its group size, or that of its inputs. */
export function dividing({ format, groupSize }: Use): number | null {
    // A scheme whose weights have no groups of their own speaks of its inputs.
    return groupSize ?? (format?.group_size === null ? format.divides : null);
}

/** Reads a use; undefined for `none` and for what is not one. */
export function readUse(recipe: Recipe, place: Place | undefined): Use | undefined {
    if (!place?.slot) return undefined;
    if (place.kind === 'text') {
        const short = readShortName(recipe, place.slot, String(place.value));
        if (!short) return undefined;
        const format = storedFormat(recipe, short.scheme);
        const groupSize = short.groupSize === undefined ? format?.group_size : short.groupSize;
        return { ...short, format, groupSize, sizePlace: place, ordersGroups: false };
    }
    const method = childNamed(place, 'method');
    const scheme = childNamed(place, 'scheme');
    if (!place.shape || typeof method?.value !== 'string' || typeof scheme?.value !== 'string') return undefined;
    const format = storedFormat(recipe, scheme.value);
    const size = childNamed(place, 'group_size');
    const written = size?.kind === 'integer' ? Number(size.value) : size?.value === 'channel' ? null : undefined;
    const isDefault = size === undefined || size.kind === 'nothing';
    return {
        method: method.value,
        scheme: scheme.value,
        format,
        groupSize: isDefault ? format?.group_size : written,
        sizePlace: isDefault ? scheme : size,
        ordersGroups: place.children.some((child) => neededOutputs(child) !== undefined),
    };
}

/** The same text for the same way to quantize, however it is written; undefined for what is not one. */
export function identityOf(recipe: Recipe, place: Place): string | undefined {
    const use = readUse(recipe, place);
    if (!use || use.groupSize === undefined) return undefined;
    const own = place.children.filter(({ key }) => !['method', 'scheme', 'group_size'].includes(key?.name ?? ''));
    const changed = own.filter((child) => !isDeepStrictEqual(plainValue(child), child.slot?.default)).map((child) => [child.key?.name ?? '', plainValue(child)]);
    return JSON.stringify([use.method, use.scheme, use.groupSize, changed.sort(([a], [b]) => String(a).localeCompare(String(b)))]);
}

/** The short forms that name what a slot's mappings allow. */
export function shortNames({ schema }: Recipe, slot: Slot): ReadonlyMap<string, ShortForm> {
    let names = known.get(slot);
    if (!names) known.set(slot, (names = findShortNames(schema, slot)));
    return names;
}

/** A slot belongs to one schema. */
const known = new WeakMap<Slot, ReadonlyMap<string, ShortForm>>();

function findShortNames({ shortForms }: RecipeSchema, slot: Slot): Map<string, ShortForm> {
    const allowed = new Set<string>();
    for (const { schema } of slot.alternatives) {
        const method = schema.properties?.method?.const;
        for (const scheme of schema.properties?.scheme?.enum ?? []) allowed.add(`${String(method)} ${String(scheme)}`);
    }
    return new Map(Object.entries(shortForms).filter(([, { method, scheme }]) => allowed.has(`${method} ${scheme}`)));
}

export function readShortName(recipe: Recipe, slot: Slot, text: string): ShortName | undefined {
    const [, base, size, channel] = SUFFIX.exec(text) ?? [];
    const known = base === undefined ? undefined : shortNames(recipe, slot).get(base);
    if (!known || ((size ?? channel) && recipe.schema.schemes[known.scheme]?.regroupable === false)) return undefined;
    return { ...known, groupSize: channel ? null : size === undefined ? undefined : Number(size) };
}
