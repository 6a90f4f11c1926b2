import type { CompletionItem } from 'vscode-languageserver/node';
import { cursorsAt, type Cursor } from './cursor';
import { columnOf } from './entries';
import { parseRecipe, type Recipe } from './recipe';

const DASH = '- ';

/** The text with a dash before the word at the cursor, where that begins an item of a list in a line of its own. */
export interface WithDash {
    readonly recipe: Recipe;
    readonly cursors: readonly Cursor[];
}

/** undefined: something else stands in the line, or no list goes on or begins there. */
export function withDash({ text, schema }: Recipe, offset: number): WithDash | undefined {
    const [, indent, word] = /(?:^|\n)([ ]*)(\w*)$/.exec(text.slice(0, offset)) ?? [];
    if (indent === undefined || word === undefined || !/^[ \t]*(#.*)?(\r?\n|$)/.test(text.slice(offset))) return undefined;
    const start = offset - word.length;
    const recipe = parseRecipe(text.slice(0, start) + DASH + text.slice(start), schema);
    if (recipe.errors.length > 0) return undefined;
    const cursors = cursorsAt(recipe, offset + DASH.length).filter(({ place, kind }) => {
        const isItem = typeof place.path.at(-1) === 'number' && place.slot !== undefined;
        // A first key in the line, not one of an item above.
        return isItem && (kind === 'value' || place.children.every(({ key }) => key !== undefined && key.start >= start));
    });
    return cursors.length > 0 ? { recipe, cursors } : undefined;
}

/** Whether a key would not stand below the other keys of its mapping. */
export function isAside({ text }: Recipe, { kind, place, flow, replace }: Cursor): boolean {
    const first = place.children[0]?.key;
    return kind === 'key' && !flow && first !== undefined && columnOf(text, first.start) !== columnOf(text, replace.start);
}

/** An item that was found behind the dash, as one that writes the dash, too. */
export function dashed(item: CompletionItem): CompletionItem {
    const { textEdit } = item;
    if (!textEdit || !('range' in textEdit)) return item;
    const { start, end } = textEdit.range;
    const range = { start: { ...start, character: start.character - DASH.length }, end: { ...end, character: end.character - DASH.length } };
    return { ...item, filterText: item.filterText ?? item.label, textEdit: { range, newText: DASH + textEdit.newText } };
}
