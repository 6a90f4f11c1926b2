import { LineCounter } from 'yaml';
import { edited, type Edit } from './edited';
import { contentsOf, type Contents } from './leaves';
import { discriminator, type Alternative, type JsonSchema, type Kind, type RecipeSchema, type Slot } from './schema';
import { NOTHING, type Entry, type SyntaxFault, type Written } from './written';

/** A range of the text, in UTF-16 offsets; end exclusive. */
export interface Span {
    readonly start: number;
    readonly end: number;
}

export type Path = readonly (string | number)[];

/** A value of the recipe, with what the schema says of its place. */
export interface Place {
    readonly path: Path;
    readonly parent: Place | undefined;
    /** The key that owns the value, or undefined in lists and at the top. */
    readonly key: (Span & { readonly name: string }) | undefined;
    /** The dash before an item of a list in block style. */
    readonly dash: Span | undefined;
    /** Of the value; empty, behind the key, when nothing is written. */
    readonly span: Span;
    readonly kind: Kind;
    /** Of a scalar. */
    readonly value: string | number | boolean | null;
    /** Of a scalar: as written, without quotes. */
    readonly text: string;
    readonly quoted: boolean;
    /** Whether the value is written between braces or brackets. */
    readonly flow: boolean;
    /** undefined: the schema does not know this place. */
    readonly slot: Slot | undefined;
    /** Of a mapping: the alternative that was meant; undefined when none fits. */
    readonly shape: JsonSchema | undefined;
    readonly children: readonly Place[];
    /** Values of keys that are written again; only the first one counts. */
    readonly duplicates: readonly Place[];
}

/** A parsed recipe; made anew after each edit. */
export interface Recipe {
    readonly text: string;
    readonly schema: RecipeSchema;
    readonly errors: readonly SyntaxFault[];
    /** Aliases before which their anchor does not stand. */
    readonly unresolved: readonly Span[];
    /** Names of what aliases can speak of, in document order, and where that begins. */
    readonly anchors: readonly { readonly name: string; readonly start: number }[];
    /** Where what an alias means is written, by where the alias begins. */
    readonly aliased: ReadonlyMap<number, Span>;
    readonly root: Place;
    /** All places, in document order, a collection before what it holds. */
    readonly places: readonly Place[];
    readonly lines: LineCounter;
}

/** A document of aliases could otherwise unfold without end. */
const MAX_PLACES = 50_000;

/** `edits`: what the parser reads in the place of some of the text; all places are those of the text as it is. */
export function parseRecipe(text: string, schema: RecipeSchema, edits: readonly Edit[] = [], reading: (text: string) => Contents = contentsOf): Recipe {
    const lines = new LineCounter();
    // The parser itself stops counting where a second document begins, or what it takes for one.
    lines.addNewLine(0);
    for (const { 0: end, index } of text.matchAll(/\r\n|\r|\n/g)) lines.addNewLine(index + end.length);
    const { text: read, back } = edited(text, edits);
    const { contents, errors } = reading(read);
    const annotator = new Annotator(read, schema);
    const root = annotator.root(contents);
    if (edits.length > 0) movePlace(root, back);
    const unresolved = annotator.unresolved.map((span) => moved(span, back));
    const anchors = annotator.anchors.map(({ name, start }) => ({ name, start: back(start) }));
    const aliased = new Map([...annotator.aliases].map(([start, { written, at, place }]) => [back(start), place?.span ?? moved({ start: at + written.start, end: at + written.end }, back)]));
    return { text, schema, errors: movedFaults(errors, back), unresolved, anchors, aliased, root, places: listPlaces(root, []), lines };
}

function moved({ start, end }: Span, back: (offset: number) => number): Span {
    return { start: back(start), end: back(end) };
}

function movePlace(place: Mutable<Place>, back: (offset: number) => number): void {
    place.span = moved(place.span, back);
    place.key &&= { ...place.key, ...moved(place.key, back) };
    place.dash &&= moved(place.dash, back);
    for (const child of [...place.children, ...place.duplicates]) movePlace(child, back);
}

function movedFaults(faults: readonly SyntaxFault[], back: (offset: number) => number): SyntaxFault[] {
    return faults.map((fault) => ({ ...fault, ...moved(fault, back) }));
}

/** What keeps a text from being YAML, found sooner than by reading all of it as a recipe. */
export function errorsOf(text: string, edits: readonly Edit[]): readonly SyntaxFault[] {
    const { text: read, back } = edited(text, edits);
    return movedFaults(contentsOf(read).errors, back);
}

interface Origin {
    readonly path: Path;
    readonly parent: Place | undefined;
    readonly key: Place['key'];
    readonly slot: Slot | undefined;
    /** Where an empty value would stand. */
    readonly empty: number;
    /** Whether a dash stands before it. */
    readonly isItem?: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What is written, and what has to be added to its offsets. */
interface Located {
    readonly written: Written;
    readonly at: number;
    /** What was made of it, unless it is a key. */
    place?: Place;
}

class Annotator {
    readonly unresolved: Span[] = [];
    readonly anchors: { readonly name: string; readonly start: number }[] = [];
    /** What aliases mean, by where they stand. */
    readonly aliases = new Map<number, Located>();
    private count = 0;
    /** What each name means here, and what aliases meant, by where they stand. */
    private readonly named = new Map<string, Located>();
    private readonly meant = new Map<number, Located | undefined>();
    private readonly open: Located[] = [];
    /** How many aliases the place is behind. */
    private behind = 0;

    constructor(
        private readonly text: string,
        private readonly schema: RecipeSchema,
    ) {}

    root(contents: Written | undefined): Place {
        return this.place(contents, 0, { path: [], parent: undefined, key: undefined, slot: this.schema.root, empty: 0 });
    }

    /** `at`: what has to be added to offsets of what is written. */
    private place(written: Written | undefined, at: number, origin: Origin): Place {
        const [start, end] = written ? [at + written.start, at + written.end] : [origin.empty, origin.empty];
        if (written?.alias !== undefined) return this.aliasPlace(this.meaning(written.alias, start), { start, end }, origin);
        if (written?.anchor === undefined) return this.placeOf(written, at, { start, end }, origin);
        const located: Located = { written, at };
        this.name(written.anchor, located);
        return (located.place = this.placeOf(written, at, { start, end }, origin));
    }

    /** `span`: of the alias. */
    private aliasPlace(target: Located | undefined, span: Span, origin: Origin): Place {
        if (target) this.aliases.set(span.start, target);
        else if (this.count <= MAX_PLACES) this.unresolved.push(span);
        // A YAML anchor may contain its own alias.
        const isInside = this.open.some(({ written, at }) => written === target?.written && at === target.at);
        this.behind++;
        const place = this.placeOf(target?.written, target?.at ?? 0, span, origin, isInside);
        this.behind--;
        // What ends elsewhere says nothing of where the alias ends.
        return Object.assign(place, { span });
    }

    private name(anchor: string, located: Located): void {
        // What an alias stands for has its names where it is written.
        if (this.behind > 0) return;
        this.named.set(anchor, located);
        this.anchors.push({ name: anchor, start: located.at + located.written.start });
    }

    /** The same name can be given again: an alias means what had it last when the alias was written. */
    private meaning(alias: string, start: number): Located | undefined {
        if (!this.meant.has(start)) this.meant.set(start, this.named.get(alias));
        return this.meant.get(start);
    }

    /** Names what a key, or something in it, is called by. */
    private nameAll(written: Written | undefined, at: number): void {
        if (!written) return;
        if (written.anchor !== undefined) this.name(written.anchor, { written, at });
        for (const { keyValue, value, at: by } of written.entries) for (const inner of [keyValue, value]) this.nameAll(inner, at + by);
        for (const { value, at: by } of written.items) this.nameAll(value, at + by);
    }

    private placeOf(node: Written | undefined, at: number, span: Span, origin: Origin, isKnown = false): Place {
        const { start } = span;
        const { kind, value, text, quoted, flow } = node ?? NOTHING;
        const place: Mutable<Place> = {
            path: origin.path, parent: origin.parent, key: origin.key, dash: origin.isItem ? dashBefore(this.text, start) : undefined, span,
            kind, value, text, quoted, flow, slot: origin.slot, shape: undefined, children: [], duplicates: [],
        };
        // An empty document is an empty mapping.
        if (!node && !origin.parent) place.shape = chooseShape(origin.slot?.alternatives ?? [], () => undefined);
        if (!node || isKnown || ++this.count > MAX_PLACES) return place;
        this.open.push({ written: node, at });
        if (kind === 'mapping') this.fillMapping(place, node.entries, at);
        else if (kind === 'list') this.fillList(place, node.items, at);
        this.open.pop();
        return place;
    }

    private fillMapping(place: Mutable<Place>, entries: readonly Entry[], base: number): void {
        const value = (name: string): unknown => {
            const found = entries.find((entry) => entry.name === name)?.value;
            return found?.alias === undefined ? found?.value : undefined;
        };
        place.shape = chooseShape(place.slot?.alternatives ?? [], value);
        const places = entries.map(({ name, key, keyValue, value: written, at }) => {
            this.nameAll(keyValue, base + at);
            const [start, end] = key ? [base + at + key[0], base + at + key[1]] : [place.span.start, place.span.start];
            return this.place(written, base + at, {
                path: [...place.path, name], parent: place, key: { name, start, end }, slot: this.slotOfKey(place, name), empty: end,
            });
        });
        const names = new Set<string>();
        const isFirst = places.map(({ key }) => names.size < names.add(key!.name).size);
        place.children = places.filter((_, index) => isFirst[index]);
        place.duplicates = places.filter((_, index) => !isFirst[index]);
        if (!place.flow) place.span = { start: place.span.start, end: lastEnd(places, place.span) };
    }

    private slotOfKey(mapping: Place, name: string): Slot | undefined {
        if (mapping.shape) {
            const { properties } = mapping.shape;
            return properties && Object.hasOwn(properties, name) ? this.schema.slot(properties[name]!) : undefined;
        }
        const shapes = (mapping.slot?.alternatives ?? []).map(({ schema }) => schema);
        return this.schema.joinedSlot(shapes.flatMap(({ properties }) => (properties && Object.hasOwn(properties, name) ? [properties[name]!] : [])));
    }

    private fillList(place: Mutable<Place>, items: Written['items'], base: number): void {
        const slot = place.slot && this.schema.itemSlot(place.slot);
        place.children = items.map(({ value, at }, index) =>
            this.place(value, base + at, { path: [...place.path, index], parent: place, key: undefined, slot, empty: place.span.start, isItem: !place.flow }),
        );
        if (!place.flow) place.span = { start: place.span.start, end: lastEnd(place.children, place.span) };
    }
}

export function dashBefore(text: string, offset: number): Span {
    const start = text.lastIndexOf('-', offset - 1);
    return { start, end: start + 1 };
}

/** A block collection ends with its last value, not with the white space and comments behind it. */
function lastEnd(children: readonly Place[], span: Span): number {
    return children.reduce((end, child) => Math.max(end, child.span.end, child.key?.end ?? 0), span.start);
}

/** The mapping that was meant: the only one, or the one that the discriminating key names. */
function chooseShape(alternatives: readonly Alternative[], value: (name: string) => unknown): JsonSchema | undefined {
    const first = alternatives.find(({ kind }) => kind === 'mapping')?.schema;
    const property = discriminator(alternatives);
    if (property === undefined) return first;
    const named = value(property);
    const meant = alternatives.find(({ kind, schema }) => kind === 'mapping' && schema.properties?.[property]?.const === named)?.schema;
    return meant ?? (alternatives.filter(({ kind }) => kind === 'mapping').length === 1 ? first : undefined);
}

function listPlaces(place: Place, places: Place[]): Place[] {
    places.push(place);
    for (const child of place.children) listPlaces(child, places);
    return places;
}

export function childNamed(place: Place | undefined, name: string): Place | undefined {
    return place?.children.find(({ key }) => key?.name === name);
}

/** The value at a path, for example `['quantize', 'rules', 0, 'use']`. */
export function placeAt(root: Place, path: Path): Place | undefined {
    let place: Place | undefined = root;
    for (const step of path) place = typeof step === 'number' ? place?.children[step] : childNamed(place, step);
    return place;
}

/** The innermost place whose key or value holds the offset. */
export function placeHolding({ places }: Recipe, offset: number): Place | undefined {
    let found: Place | undefined;
    for (const place of places) {
        const inValue = place.span.start <= offset && offset <= place.span.end;
        const inKey = place.key !== undefined && place.key.start <= offset && offset <= place.key.end;
        if (inValue || inKey) found = place;
    }
    return found;
}

/** A place's value without positions, for comparisons. */
export function plainValue(place: Place): unknown {
    if (place.kind === 'mapping') return Object.fromEntries(place.children.map((child) => [child.key?.name, plainValue(child)]));
    if (place.kind === 'list') return place.children.map(plainValue);
    return place.value;
}
