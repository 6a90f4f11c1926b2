import { parseRecipe, type Place, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';

/** What could be written at a place of the text. */
export interface Cursor {
    /** A key of the mapping `place`, or the value of `place`. */
    readonly kind: 'key' | 'value';
    readonly place: Place;
    /** What is written already, up to the cursor. */
    readonly prefix: string;
    /** The text that a completion replaces. */
    readonly replace: Span;
    readonly quoted: boolean;
    /** Whether braces or brackets surround it, so that everything must stay on one line. */
    readonly flow: boolean;
    /** Of a key: whether its colon stands already. */
    readonly hasColon: boolean;
}

/** A character that no recipe has: it is put at the cursor and looked for in the tree that the parser makes of the text. */
const MARK = '\u{E000}';

/**
 * Reads the text as if something stood at the offset, as a value and, on a line that ends there, also as a key. That the parser itself says where this is
 * makes empty lines, braces, lists and half-written lines one case. Nothing is found inside comments.
 */
export function cursorsAt(recipe: Recipe, offset: number): readonly Cursor[] {
    const last = lastFound.get(recipe);
    if (last?.offset === offset) return last.cursors;
    const cursors = findCursors(recipe, offset);
    lastFound.set(recipe, { offset, cursors });
    return cursors;
}

/** What was found last in a recipe: whether a folder is wanted and what completes there are asked one after the other, and each reading takes as long as the recipe's own. */
const lastFound = new WeakMap<Recipe, { readonly offset: number; readonly cursors: readonly Cursor[] }>();

function findCursors({ text, schema }: Recipe, offset: number): Cursor[] {
    const before = text.slice(0, offset);
    const after = text.slice(offset);
    // A dash begins an item when a space follows.
    if (/(^|\n)[ \t]*(- +)*-$/.test(before)) return [];
    const cursors = findMark(parseRecipe(before + MARK + after, schema), false);
    if (/(^|\n)[ \t]*(- +)*\w*$/.test(before) && /^[ \t]*(#.*)?(\r?\n|$)/.test(after)) {
        cursors.push(...findMark(parseRecipe(`${before}${MARK}:${after}`, schema), true));
    }
    return cursors.filter((cursor, index) => cursors.findIndex((other) => isSame(other, cursor)) === index);
}

function isSame(a: Cursor, b: Cursor): boolean {
    return a.kind === b.kind && a.place.path.join('\0') === b.place.path.join('\0');
}

/** `isColonOurs`: the colon behind the mark was put there with it. */
function findMark(recipe: Recipe, isColonOurs: boolean): Cursor[] {
    const sound = soundPart(recipe).recipe;
    const found = markIn(sound, isColonOurs);
    return found.length > 0 || sound === recipe ? found : markIn(recipe, isColonOurs);
}

function markIn(recipe: Recipe, isColonOurs: boolean): Cursor[] {
    for (const place of recipe.places) {
        if (place.key?.name.includes(MARK) && place.parent) return keyCursor(recipe, place, place.parent, isColonOurs);
        if (place.children.length === 0 && recipe.text.slice(place.span.start, place.span.end).includes(MARK)) return valueCursor(recipe, place);
    }
    return [];
}

function keyCursor(recipe: Recipe, place: Place, mapping: Place, isColonOurs: boolean): Cursor[] {
    const { start, end } = place.key!;
    const written = recipe.text.slice(start, end);
    // A key over several lines is the parser's reading of a line that is indented below a finished value.
    if (written.includes('\n')) return [];
    const hasColon = !isColonOurs && /^[ \t]*:/.test(recipe.text.slice(end));
    return [{
        kind: 'key', place: mapping, prefix: written.slice(0, written.indexOf(MARK)), replace: { start, end: end - 1 }, quoted: false,
        flow: isInFlow(mapping), hasColon,
    }];
}

function valueCursor(recipe: Recipe, place: Place): Cursor[] {
    const { start } = place.span;
    const written = recipe.text.slice(start, place.span.end);
    const mark = written.indexOf(MARK);
    if (written.slice(0, mark).includes('\n')) return [];
    const quote = place.quoted ? 1 : 0;
    const line = /^[^\r\n]*/.exec(written)![0];
    const closing = quote === 1 && line.length > 1 && line.endsWith(line[0]!) ? 1 : 0;
    return [{
        kind: 'value', place, prefix: written.slice(quote, mark), replace: { start: start + quote, end: start + line.length - closing - 1 },
        quoted: place.quoted, flow: isInFlow(place.parent), hasColon: false,
    }];
}

function isInFlow(place: Place | undefined): boolean {
    return place !== undefined && (place.flow || isInFlow(place.parent));
}
