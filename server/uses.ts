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

/** A value of an argument that goes together with some names of another key only. */
export interface Need {
    readonly place: Place;
    /** The argument's key, behind those that lead to it from the way to quantize. */
    readonly argument: string;
    readonly names: readonly string[];
}

/** What values of a use's arguments need, those of arguments of arguments too. */
export function needsOf(use: Place, keyword: 'x-needs-output' | 'x-needs-scheme'): Need[] {
    return needsBelow(use, '');

    function needsBelow(place: Place, before: string): Need[] {
        return place.children.flatMap((child): Need[] => {
            const argument = before + (child.key?.name ?? '');
            const names = child.kind === 'text' ? child.slot?.alternatives.flatMap(({ schema }) => (schema[keyword]?.[child.text] ? [schema[keyword][child.text]] : []))[0] : undefined;
            return [...(names ? [{ place: child, argument, names }] : []), ...needsBelow(child, `${argument}.`)];
        });
    }
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
        ordersGroups: needsOf(place, 'x-needs-output').length > 0,
    };
}

/** The same text for the same way to quantize, however it is written; undefined for what is not one. */
export function identityOf(recipe: Recipe, place: Place): string | undefined {
    const use = readUse(recipe, place);
    if (!use || use.groupSize === undefined) return undefined;
    const own = place.children.filter(({ key }) => !['method', 'scheme', 'group_size'].includes(key?.name ?? ''));
    return JSON.stringify([use.method, use.scheme, use.groupSize, changedValues(own)]);
}

/** Keys and values that differ from their defaults, in an order of their own. */
function changedValues(places: readonly Place[]): [string, unknown][] {
    const values = places.map((place): [string, unknown, unknown] => [place.key?.name ?? '', shortest(place), place.slot?.default]);
    return values.filter(([, value, usual]) => !isDeepStrictEqual(value, usual)).map(([name, value]): [string, unknown] => [name, value]).sort(([a], [b]) => a.localeCompare(b));
}

/** Of a mapping that only names its kind, that name, where it may stand alone. */
function shortest(place: Place): unknown {
    if (place.kind !== 'mapping') return plainValue(place);
    const changed = changedValues(place.children);
    const [[, only] = []] = changed;
    const isNamed = place.slot?.alternatives.some(({ schema }) => schema.enum?.includes(only));
    return changed.length === 1 && isNamed ? only : changed;
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
