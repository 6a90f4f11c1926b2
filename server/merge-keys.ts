import { columnOf, lineEnd, removal } from './entries';
import type { Edit } from './edited';
import { childNamed, plainValue, type Place, type Recipe } from './recipe';
import { flowText } from './yaml-text';

/** The key that merges mappings in YAML 1.1, and is one like any other in 1.2. */
export const MERGE = '<<';

/** What a mapping would have by its merge key, by name, as YAML 1.1 merges: what it has itself counts first, then earlier mappings of a list. */
export function mergedEntries(mapping: Place): ReadonlyMap<string, Place> {
    const entries = new Map<string, Place>();
    collect(childNamed(mapping, MERGE), entries);
    for (const { key } of mapping.children) entries.delete(key?.name ?? '');
    return entries;
}

function collect(place: Place | undefined, entries: Map<string, Place>): void {
    for (const child of place?.children ?? []) {
        if (place?.kind === 'list') collect(child, entries);
        else if (child.key?.name !== MERGE && !entries.has(child.key?.name ?? '')) entries.set(child.key?.name ?? '', child);
    }
    if (place?.kind === 'mapping') collect(childNamed(place, MERGE), entries);
}

/** Puts what a merge key means in its place; undefined: it names no mapping. merge: the value of that key. */
export function writtenOut(recipe: Recipe, merge: Place): Edit | undefined {
    const { key, parent, kind, children, span } = merge;
    const isMapping = kind === 'mapping' || (kind === 'list' && children.length > 0 && children.every((child) => child.kind === 'mapping'));
    if (!key || !parent || !isMapping) return undefined;
    const entries = [...mergedEntries(parent)].map(([name, place]) => `${flowText(name)}: ${valueText(recipe, place)}`);
    if (entries.length === 0) return removal(recipe, merge);
    const separator = parent.flow ? ', ' : lineEnd(recipe.text) + ' '.repeat(columnOf(recipe.text, key.start));
    return { start: key.start, end: Math.max(key.end, span.end), text: entries.join(separator) };
}

/** As written where that fits into a line between braces, too. */
function valueText({ text }: Recipe, place: Place): string {
    const written = text.slice(place.span.start, place.span.end);
    return place.quoted && !/[\r\n]/.test(written) ? written : flowText(plainValue(place));
}
