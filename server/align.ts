import type { Edit } from './edited';
import type { Fault, Reading } from './layout';
import { linesOf } from './lines';
import { parseRecipe, type Place, type Recipe, type Span } from './recipe';
import type { RecipeSchema } from './schema';

/** A text with more mistakes is not worth the time that reading all of them in all ways takes. */
const ATTEMPTS = 24;

/**
 * Reads lines that stand wrong where they belong, and values that are not closed as if they were, as far as that makes sense: no more may be broken than
 * without them, and the schema must know what it finds. Returns the faults with what has to be left out for them all the same, and what is read elsewhere
 * or in the place of something.
 *
 * @param without the text without what the given faults cost
 */
export function align(text: string, faults: readonly Fault[], schema: RecipeSchema, without: (faults: readonly Fault[]) => string): { readonly faults: Fault[]; readonly edits: readonly Edit[] } {
    const read = [...faults];
    const edits: Edit[] = [];
    let attempts = ATTEMPTS;
    for (const [index, fault] of faults.entries()) {
        const ways = waysToRead(text, fault).slice(0, Math.max(0, attempts));
        if (ways.length === 0) continue;
        const broken = parseRecipe(without(read), schema, edits).errors.length;
        for (const { lost, moved, begin } of ways) {
            attempts--;
            const recipe = parseRecipe(without(read.with(index, { ...fault, lost })), schema, [...edits, ...moved]);
            if (recipe.errors.length > broken || (begin && !isKnown(recipe, begin))) continue;
            read[index] = { ...fault, lost };
            edits.push(...moved);
            break;
        }
    }
    return { faults: read, edits };
}

/** One way to read what a fault costs. */
interface Way {
    /** What is left out all the same; an empty span: something may be missing there. */
    readonly lost: readonly Span[];
    readonly moved: readonly Edit[];
    /** Where the schema must know an entry. */
    readonly begin: Span | undefined;
}

function waysToRead(text: string, { lost, readings = [], turn = Infinity, closing }: Fault): Way[] {
    if (closing) return [{ lost: [{ start: closing.start, end: closing.end }], moved: [closing], begin: undefined }];
    const before = lost.filter(({ start }) => start < turn);
    const rest = lost.find(({ start }) => start === turn);
    // All lines elsewhere, or only those before one that may be right; or those left out.
    const moves = (rest ? [lost, before] : [lost]).flatMap((spans) => readings.flatMap((reading): Way[] => {
        const moved = movesOf(text, spans, reading);
        return moved ? [{ lost: [], moved, begin: lost[0] }] : [];
    }));
    return rest ? [...moves, { lost: before, moved: [], begin: rest }] : moves;
}

/** undefined: a line does not stand deep enough. */
function movesOf(text: string, lines: readonly Span[], { tab, by }: Reading): Edit[] | undefined {
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

/** Whether an entry that begins there has a place in the tree that the schema knows. */
function isKnown({ places }: Recipe, { start, end }: Span): boolean {
    const begins = ({ key, dash }: Place): boolean => [key, dash].some((mark) => mark && start <= mark.start && mark.start < end);
    return places.find(begins)?.slot !== undefined;
}
