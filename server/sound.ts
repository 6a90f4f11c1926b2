import * as l10n from '@vscode/l10n';
import { align } from './align';
import { blanked, type Edit } from './edited';
import { layoutOf, type Fault, type Unit } from './layout';
import { errorsOf, parseRecipe, type Place, type Recipe, type Span } from './recipe';

/** What can be relied on in a text that is not YAML as a whole. */
export interface Sound {
    /** The text as it may have been meant, without the smallest part that keeps it from being read; all places are where they stand in the text. */
    readonly recipe: Recipe;
    /** Each broken place once, in document order. */
    readonly faults: readonly Fault[];
    /** What was left blank. */
    readonly lost: readonly Span[];
}

/** A recipe's tree is needed many times between two edits. */
const known = new WeakMap<Recipe, Sound>();

/**
 * Lines that stand wrong are read where they belong, values that are not closed as if they were. What makes no sense so is left out, each with what
 * belongs to it; then, while the parser still stops somewhere, the entry where it stops. A text without a fault is its own sound part. Everything that is
 * said of a recipe is read from here, so that hints and findings never contradict each other.
 */
export function soundPart(recipe: Recipe): Sound {
    let sound = known.get(recipe);
    if (!sound) known.set(recipe, (sound = findSound(recipe)));
    return sound;
}

/** How many entries are left out one by one; then whole sections are, then everything. */
const ENTRIES = 8;
const SECTIONS = 4;

function findSound(recipe: Recipe): Sound {
    const layout = layoutOf(recipe.text, rootKeys(recipe));
    const faults = layout.faults.filter(({ isLegal }) => isLegal || recipe.errors.length > 0);
    if (faults.length === 0 && recipe.errors.length === 0 && recipe.unresolved.length === 0) return { recipe, faults, lost: [] };
    const without = (left: readonly Fault[]): string => blanked(recipe.text, left.flatMap(({ lost }) => lost));
    const { faults: costly, edits } = align(recipe.text, faults, recipe.schema, without);
    // What closes a value goes when the value does.
    const rest = (): readonly Edit[] => edits.filter(({ start: at }) => !costly.some(({ lost }) => lost.some(({ start, end }) => start < at && at <= end)));
    let text = without(costly);
    let errors = faults.length > 0 ? errorsOf(text, rest()) : recipe.errors;
    for (let attempt = 0; attempt < ENTRIES + SECTIONS && errors.length > 0; attempt++) {
        const error = errors.reduce((first, other) => (other.start < first.start ? other : first));
        const lost = attempt < ENTRIES ? entryAt(text, layout.units, error.start) : sectionAt(layout.units, error.start);
        const span = aliasAt(text, error.start) ?? clip(text, error);
        costly.push({ span, message: aliasMessage(text, span) ?? error.message, lost, isLegal: false });
        errors = errorsOf((text = without(costly)), rest());
    }
    if (errors.length > 0) {
        costly.push({ ...costly.at(-1)!, lost: [{ start: 0, end: text.length }] });
        text = without(costly);
    }
    let readable = parseRecipe(text, recipe.schema, rest());
    const aliases = unresolvedFaults(readable);
    if (aliases.length > 0) readable = parseRecipe(without([...costly, ...aliases]), recipe.schema, rest());
    // An alias whose anchor was left out is no fault of its own.
    const own = aliases.filter(({ span }) => recipe.unresolved.some(({ start }) => start === span.start));
    return { recipe: readable, faults: distinct(recipe, [...costly, ...own]), lost: [...costly, ...aliases].flatMap(({ lost }) => lost) };
}

function rootKeys({ schema }: Recipe): ReadonlySet<string> {
    return new Set(schema.root.alternatives.flatMap(({ schema: { properties } }) => Object.keys(properties ?? {})));
}

function unresolvedFaults({ text, unresolved }: Recipe): Fault[] {
    return unresolved.map((span) => {
        const alias = aliasAt(text, span.start) ?? span;
        return { span: alias, message: aliasMessage(text, alias)!, lost: [inList(text, alias)], isLegal: false };
    });
}

/** Of a list in brackets with the comma behind: nothing can be no item. */
function inList(text: string, { start, end }: Span): Span {
    const comma = /^\s*,/.exec(text.slice(end, end + 100))?.[0];
    const isItem = /[[,]/.test(text.slice(Math.max(0, start - 100), start).trimEnd().at(-1) ?? '');
    return { start, end: comma !== undefined && isItem ? end + comma.length : end };
}

/** What begins with a star is an alias for YAML; here it is nearly always a pattern without quotes. */
function aliasAt(text: string, start: number): Span | undefined {
    const length = /^\*[^\s,[\]{}]*/.exec(text.slice(start, start + 1000))?.[0].length;
    return length === undefined ? undefined : { start, end: start + length };
}

function aliasMessage(text: string, { start, end }: Span): string | undefined {
    return text[start] === '*' ? l10n.t('"{0}" is an alias without an anchor; a pattern that begins with "*" must be in quotes', text.slice(start, end)) : undefined;
}

/** Broken places in document order, one for each line. */
function distinct(recipe: Recipe, faults: readonly Fault[]): Fault[] {
    const lines = new Set<number>();
    return [...faults].sort((a, b) => a.span.start - b.span.start).filter(({ span }) => {
        const { line } = recipe.lines.linePos(span.start);
        const isRepeated = lines.has(line);
        lines.add(line);
        return !isRepeated;
    });
}

/** The entry at an offset, or the last one before it that has not been left out yet, with what is indented below it. */
function entryAt(text: string, units: readonly Unit[], offset: number): Span[] {
    const at = units.findLastIndex(({ start, end }) => start <= offset && text.slice(start, end).trim() !== '');
    const unit = units[at];
    if (!unit) return [{ start: 0, end: text.length }];
    const next = units.findIndex(({ column }, index) => index > at && column <= unit.column);
    return [{ start: unit.start, end: (next < 0 ? units.at(-1)! : units[next - 1]!).end }];
}

/** Everything from the last entry that stands as far left as any, to the next one. */
function sectionAt(units: readonly Unit[], offset: number): Span[] {
    const leftmost = units.reduce((least, { column }) => Math.min(least, column), Infinity);
    const heads = units.filter(({ column }) => column === leftmost);
    const next = heads.find(({ start }) => start > offset);
    return [{ start: heads.findLast(({ start }) => start <= offset)?.start ?? 0, end: next ? next.start - 1 : units.at(-1)!.end }];
}

/** At least one character, inside the text, and on one line. */
function clip(text: string, { start, end }: Span): Span {
    const newline = text.slice(start, end).search(/[\r\n]/);
    const lineEnd = newline > 0 ? start + newline : Math.max(end, start + 1);
    return start >= text.length ? { start: Math.max(0, text.length - 1), end: text.length } : { start, end: Math.min(lineEnd, text.length) };
}

/** Whether nothing was left out that might belong to a place: between its beginning and the next thing that is certain to be another. */
export function isWhole({ recipe, lost }: Sound, place: Place): boolean {
    const start = place.parent ? beginning(place) : 0;
    const end = Math.max(place.span.end, place.key?.end ?? 0);
    const next = recipe.places.reduce((least, other) => {
        const at = beginning(other);
        return at >= end && at > start && at < least ? at : least;
    }, Infinity);
    return !lost.some((gap) => start < gap.end && gap.start < next);
}

function beginning({ key, dash, span }: Place): number {
    return key?.start ?? dash?.start ?? span.start;
}
