import { isMap, parseDocument } from 'yaml';
import { parseRecipe, type Recipe, type Span } from './recipe';

/** What can be relied on in a text that is not YAML as a whole. */
export interface Sound {
    /** The text with everything else left blank, so that its places stand where they stood. */
    readonly recipe: Recipe;
    /** The top-level sections of which something was left out. */
    readonly broken: readonly Span[];
}

/** A recipe's tree is needed many times between two edits. */
const known = new WeakMap<Recipe, Sound>();

/**
 * Each top-level section is read by itself: one that is broken is kept up to the last line before its error and hides no other. A text without a syntax
 * error is its own sound part.
 */
export function soundPart(recipe: Recipe): Sound {
    if (recipe.errors.length === 0) return { recipe, broken: [] };
    let sound = known.get(recipe);
    if (!sound) known.set(recipe, (sound = findSound(recipe)));
    return sound;
}

/** How often sections that only together are no YAML are left out, before all of them are. */
const MAX_ATTEMPTS = 4;

function findSound({ text, schema }: Recipe): Sound {
    let sections = sectionsOf(text).map((section) => ({ ...section, kept: readableEnd(text, section) }));
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const recipe = parseRecipe(blankOutside(text, sections.map(({ start, kept }) => ({ start, end: kept }))), schema);
        if (recipe.errors.length === 0) return { recipe, broken: sections.filter(({ kept, end }) => kept < end) };
        const wrong = recipe.errors.map(({ pos: [offset] }) => offset);
        sections = sections.map((section) => ({ ...section, kept: wrong.some((at) => section.start <= at && at < section.end) ? section.start : section.kept }));
    }
    return { recipe: parseRecipe(blankOutside(text, []), schema), broken: [{ start: 0, end: text.length }] };
}

interface Line extends Span {
    readonly written: string;
    readonly indent: number;
}

/** A key with its colon; whatever else begins as far left goes on with what stands above it. */
const KEY = /^\s*(?:"[^"]*"|'[^']*'|[^\s"'[\]{},:#&*!|>%@`-][^:,[\]{}]*):(?:\s|$)/;

/** Keys that begin as far left as anything does, each with the lines that follow. */
function sectionsOf(text: string): Span[] {
    const lines = firstDocument(linesOf(text));
    const leftmost = Math.min(...lines.map(({ indent }) => indent));
    const sections: Span[] = [];
    for (const { start, end, written, indent } of lines) {
        const last = sections.at(-1);
        if (!last || (indent === leftmost && KEY.test(written))) sections.push({ start, end });
        else sections[sections.length - 1] = { start: last.start, end };
    }
    return sections;
}

/** Lines that say something. */
function linesOf(text: string): Line[] {
    return [...text.matchAll(/[^\r\n]+/g)].flatMap(({ 0: written, index }) => {
        const isEmpty = /^\s*(?:#.*)?$/.test(written);
        return isEmpty ? [] : [{ start: index, end: index + written.length, written, indent: /^\s*/.exec(written)![0].length }];
    });
}

/** Without directives and the marks between documents. */
function firstDocument(lines: readonly Line[]): readonly Line[] {
    const isMark = ({ written }: Line): boolean => /^(?:---|\.\.\.)(?:\s|$)|^%/.test(written);
    const begin = lines.findIndex((line) => !isMark(line));
    const rest = begin < 0 ? [] : lines.slice(begin);
    const end = rest.findIndex(isMark);
    return end < 0 ? rest : rest.slice(0, end);
}

/** The end of the last line up to which a section is a key with its value; its start when not even the first line is. */
function readableEnd(text: string, { start, end }: Span): number {
    if (isReadable(text.slice(start, end))) return end;
    const ends = linesOf(text.slice(start, end)).map((line) => start + line.end);
    // Halving is enough: what is wrong stays wrong when more follows it.
    let [readable, wrong] = [0, ends.length];
    while (wrong - readable > 1) {
        const middle = (readable + wrong) >> 1;
        if (isReadable(text.slice(start, ends[middle - 1]))) readable = middle;
        else wrong = middle;
    }
    return readable === 0 ? start : ends[readable - 1]!;
}

function isReadable(text: string): boolean {
    const { contents, errors } = parseDocument(text, { prettyErrors: false, uniqueKeys: false, strict: true });
    return errors.length === 0 && isMap(contents) && contents.flow !== true;
}

function blankOutside(text: string, kept: readonly Span[]): string {
    const blank = (from: number, to?: number): string => text.slice(from, to).replace(/[^\r\n]/g, ' ');
    const pieces = kept.map(({ start, end }, index) => blank(kept[index - 1]?.end ?? 0, start) + text.slice(start, end));
    return pieces.join('') + blank(kept.at(-1)?.end ?? 0);
}
