import * as l10n from '@vscode/l10n';
import { CompletionItemKind, InsertTextFormat, InsertTextMode, type CompletionItem, type CompletionList } from 'vscode-languageserver/node';
import { cursorsAt, type Cursor } from './cursor';
import { dashed, isAside, withDash } from './complete-items';
import type { Facts } from './facts';
import { rangeOf } from './positions';
import { slotOfKey } from './hover-key';
import { mergedEntries } from './merge-keys';
import { childNamed, type Place, type Recipe } from './recipe';
import { discriminator, type JsonSchema, type Slot } from './schema';
import { valueItems, type FolderEntry } from './complete-values';
import { snippetItems } from './complete-snippets';
import { hasGroupSize, slotHere } from './complete-sizes';
import { plainDefault, Snippet } from './snippet';

/** Entries of the folder that the path at the cursor is in; see `folderWanted`. */
export type Listing = readonly FolderEntry[];

/** Keys and values that fit at the offset. */
export function complete(recipe: Recipe, offset: number, facts: Facts, listing: Listing = []): CompletionList {
    const item = withDash(recipe, offset);
    const cursors = cursorsAt(recipe, offset).filter((cursor) => !item || !isAside(recipe, cursor));
    const here = itemsAt(recipe, cursors, facts, listing);
    // Where a list goes on, its items come first.
    const items = item ? [...itemsAt(item.recipe, item.cursors, facts, listing).map(dashed), ...here.map((other) => ({ ...other, sortText: `z${other.sortText}` }))] : here;
    // Short forms grow (`gptq-w4a16` → `gptq-w4a16-g64`) and folders open while one types.
    return { isIncomplete: [...cursors, ...(item?.cursors ?? [])].some(({ kind }) => kind === 'value'), items: distinct(items) };
}

function itemsAt(recipe: Recipe, cursors: readonly Cursor[], facts: Facts, listing: Listing): CompletionItem[] {
    return cursors.flatMap((cursor) => [
        ...(cursor.kind === 'key' ? keyItems(recipe, cursor, facts) : valueItems(recipe, cursor, facts, listing)), ...snippetItems(recipe, cursor),
    ]);
}

/** Where a key or a value may stand both ways of filling in are found. */
function distinct(items: readonly CompletionItem[]): CompletionItem[] {
    const snippets = new Map(items.filter(({ kind }) => kind === CompletionItemKind.Snippet).map((item) => [item.label, item]));
    return items.filter((item) => item.kind !== CompletionItemKind.Snippet || snippets.get(item.label) === item);
}

const PATH_FORMATS = new Set(['checkpoint', 'path', 'output']);

/** The folder, as written in the recipe, whose entries `complete` needs; undefined: none. */
export function folderWanted(recipe: Recipe, offset: number): string | undefined {
    const cursor = cursorsAt(recipe, offset).find(({ kind, place }) => kind === 'value' && PATH_FORMATS.has(place.slot?.format ?? ''));
    return cursor?.prefix.slice(0, cursor.prefix.lastIndexOf('/') + 1);
}

function keyItems(recipe: Recipe, cursor: Cursor, facts: Facts): CompletionItem[] {
    const { place } = cursor;
    const merged = mergedEntries(place);
    const shapes = shapesOf(place, merged);
    const offered = new Map<string, { schema: JsonSchema; required: boolean | 'one' }>();
    for (const shape of shapes) {
        const exclusive = shape['x-exactly-one'] ?? [];
        const excluded = new Set([exclusive, ...(shape['x-at-most-one'] ?? [])].flatMap((names) => (names.some((name) => childNamed(place, name) ?? merged.get(name)) ? names : [])));
        for (const [name, schema] of Object.entries(shape.properties ?? {})) {
            const required = exclusive.includes(name) ? 'one' : (shape.required?.includes(name) ?? false);
            if (name === 'group_size' && !hasGroupSize(recipe, place, shape)) continue;
            if (!schema.deprecated && !childNamed(place, name) && !merged.has(name) && !excluded.has(name) && !offered.has(name)) offered.set(name, { schema, required });
        }
    }
    return [...offered].map(([name, { schema, required }], index) => keyItem(recipe, cursor, name, slotHere(recipe, name, slotOfKey(recipe, place, name, recipe.schema.slot(schema)), facts), required, index));
}

/** What the mapping may be: by its own discriminating key, or by one that a merge key brings. */
function shapesOf(place: Place, merged: ReadonlyMap<string, Place>): JsonSchema[] {
    if (place.shape) return [place.shape];
    const mappings = (place.slot?.alternatives ?? []).filter(({ kind }) => kind === 'mapping');
    const property = discriminator(mappings);
    const named = property === undefined ? undefined : merged.get(property)?.value;
    const meant = mappings.filter(({ schema }) => named !== undefined && schema.properties?.[property!]?.const === named);
    return (meant.length > 0 ? meant : mappings).map(({ schema }) => schema);
}

function importance(required: boolean | 'one', slot: Slot): string {
    if (required === 'one') return l10n.t('one of these');
    if (required) return l10n.t('required');
    const usual = plainDefault(slot.default);
    return usual === '' ? l10n.t('optional') : l10n.t('default: {0}', usual);
}

function keyItem(recipe: Recipe, cursor: Cursor, name: string, slot: Slot, required: boolean | 'one', index: number): CompletionItem {
    const needsChoice = slot.alternatives.some(({ schema }) => schema.enum ?? schema.const) || slot.format !== undefined;
    return {
        label: name,
        kind: CompletionItemKind.Property,
        detail: importance(required, slot),
        labelDetails: { description: importance(required, slot) },
        documentation: { kind: 'markdown', value: slot.description },
        sortText: `k${required ? 0 : 1}${String(index).padStart(3, '0')}`,
        insertTextFormat: InsertTextFormat.Snippet,
        insertTextMode: InsertTextMode.adjustIndentation,
        textEdit: {
            range: rangeOf(recipe, cursor.replace),
            newText: cursor.hasColon ? name : `${name}:${new Snippet(recipe, cursor.flow).value(slot, 1)}`,
        },
        command: needsChoice && !cursor.hasColon ? { title: '', command: 'editor.action.triggerSuggest' } : undefined,
    };
}
