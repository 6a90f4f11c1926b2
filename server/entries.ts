import { Snippet } from './snippet';
import type { Edit } from './edited';
import type { Place, Recipe } from './recipe';

/** Edits of whole entries that leave everything around them, comments too, as it was written. */

/** Removes an entry with its line, or with the comma that separates it. */
export function removal({ text }: Recipe, place: Place): Edit {
    let start = place.key?.start ?? place.dash?.start ?? place.span.start;
    let end = Math.max(place.span.end, place.key?.end ?? 0);
    if (place.parent?.flow) {
        const following = /^\s*,\s*/.exec(text.slice(end))?.[0];
        if (following !== undefined) end += following.length;
        else start -= /,?\s*$/.exec(text.slice(0, start))![0].length;
    } else {
        const indent = /(^|\n)([ \t]*)$/.exec(text.slice(0, start))?.[2];
        if (indent !== undefined) {
            start -= indent.length;
            end += /^[^\n]*(\n|$)/.exec(text.slice(end))![0].length;
        }
    }
    return { start, end, text: '' };
}

/** Adds a key with the beginning of its value; undefined: the schema knows no such key there. */
export function addition(recipe: Recipe, owner: Place, key: string): Edit | undefined {
    const shapes = owner.shape ? [owner.shape] : (owner.slot?.alternatives ?? []).map(({ schema }) => schema);
    const property = shapes.find((shape) => shape.properties?.[key] !== undefined)?.properties?.[key];
    if (!property) return undefined;
    const value = new Snippet(recipe, owner.flow).value(recipe.schema.slot(property), 1).replace(/\$\{\d+:([^}]*)\}|\$\d+/g, '$1');
    return added(recipe.text, owner, `${key}:${value.trimEnd()}`);
}

/** Puts an entry behind all others of a mapping. Its later lines, if it has any, count their columns from its first. */
export function added(text: string, owner: Place, entry: string): Edit {
    if (owner.flow) {
        const at = text.slice(0, owner.span.end - 1).trimEnd().length;
        const needsComma = owner.children.length > 0 && text[at - 1] !== ',';
        return { start: at, end: at, text: `${needsComma ? ',' : ''} ${entry}${text[at] === '}' ? ' ' : ''}` };
    }
    const eol = lineEnd(text);
    const first = owner.children[0]?.key;
    if (!first) return { start: text.length, end: text.length, text: `${text === '' || text.endsWith('\n') ? '' : eol}${entry}${eol}` };
    const margin = ' '.repeat(columnOf(text, first.start));
    const at = owner.span.end + /^[^\r\n]*/.exec(text.slice(owner.span.end))![0].length;
    return { start: at, end: at, text: [''].concat(entry.split('\n')).join(eol + margin) };
}

export function lineEnd(text: string): string {
    return text.includes('\r\n') ? '\r\n' : '\n';
}

export function columnOf(text: string, offset: number): number {
    return offset - (text.lastIndexOf('\n', offset - 1) + 1);
}
