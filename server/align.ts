import type { Edit } from './edited';
import type { Fault, Reading } from './layout';
import { linesOf } from './lines';
import { parseRecipe, type Place, type Recipe, type Span } from './recipe';
import type { RecipeSchema } from './schema';

/** A text with more mistakes is not worth the time that reading all of them in all ways takes. */
const ATTEMPTS = 24;

/**
 * Reads lines that stand wrong where they belong, as far as that makes sense: no more may be broken than without them, and the schema must know their
 * first key there. Returns the faults that nothing has to be left out for, and what moves their lines.
 *
 * @param without the text without what the given faults cost
 */
export function align(text: string, faults: readonly Fault[], schema: RecipeSchema, without: (faults: readonly Fault[]) => string): { readonly kept: readonly Fault[]; readonly edits: readonly Edit[] } {
    const kept: Fault[] = [];
    const edits: Edit[] = [];
    let attempts = ATTEMPTS;
    for (const fault of faults) {
        if (!fault.readings || attempts <= 0) continue;
        const open = faults.filter((other) => !kept.includes(other));
        const broken = parseRecipe(without(open), schema, edits).errors.length;
        for (const [reading, end] of waysToRead(fault).slice(0, attempts)) {
            attempts--;
            const moved = moves(text, fault.lost.filter(({ start }) => start < end), reading);
            const recipe = moved && parseRecipe(without(open.filter((other) => other !== fault)), schema, [...edits, ...moved]);
            if (!recipe || recipe.errors.length > broken || !isKnown(recipe, fault)) continue;
            kept.push(fault);
            edits.push(...moved);
            break;
        }
    }
    return { kept, edits };
}

/** Each reading of all its lines, then each of those alone that stand before one which may be right. */
function waysToRead({ readings = [], turn }: Fault): [Reading, number][] {
    const ends = turn === undefined ? [Infinity] : [Infinity, turn];
    return ends.flatMap((end) => readings.map((reading): [Reading, number] => [reading, end]));
}

/** undefined: a line does not stand deep enough. */
function moves(text: string, lines: readonly Span[], { tab, by }: Reading): Edit[] | undefined {
    const edits: Edit[] = [];
    for (const span of lines) {
        for (const line of linesOf(text.slice(span.start, span.end))) {
            const depth = line.written.slice(0, line.indent).replaceAll('\t', ' '.repeat(tab)).length + by;
            if (depth < 0 && !line.isEmpty) return undefined;
            const start = span.start + line.start;
            edits.push({ start, end: start + line.indent, text: ' '.repeat(Math.max(0, depth)) });
        }
    }
    return edits;
}

/** Whether the first of the moved lines has a place in the tree that the schema knows. */
function isKnown({ places }: Recipe, { lost: [first] }: Fault): boolean {
    const begins = ({ key, dash }: Place): boolean => [key, dash].some((mark) => mark && first && first.start <= mark.start && mark.start < first.end);
    return places.find(begins)?.slot !== undefined;
}
