import { parseDocument, visit } from 'yaml';
import { usePlaces } from './layers';
import { placeHolding, type Place, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';
import { identityOf } from './uses';

/**
 * What a recipe names in one place and speaks of in others: a way to quantize, which `candidates` lists and rules and the default use, and a YAML anchor,
 * which aliases use.
 */
export type Occurrences =
    | { readonly kind: 'use'; readonly label: string; readonly at: Span; readonly places: readonly Place[]; readonly definitions: readonly Span[]; readonly spans: readonly Span[] }
    | { readonly kind: 'anchor'; readonly label: string; readonly at: Span; readonly definitions: readonly Span[]; readonly spans: readonly Span[] };

/** Of what is under the cursor; undefined: it is nothing that is spoken of elsewhere. */
export function occurrencesAt(recipe: Recipe, offset: number): Occurrences | undefined {
    return anchorAt(recipe, offset) ?? useAt(soundPart(recipe).recipe, offset);
}

function useAt(recipe: Recipe, offset: number): Occurrences | undefined {
    const uses = usePlaces(recipe);
    let holding = placeHolding(recipe, offset);
    // Of a long form the method and the scheme stand for the whole.
    if (holding && !uses.includes(holding)) holding = ['method', 'scheme', 'group_size'].includes(holding.key?.name ?? '') ? holding.parent : undefined;
    const here = holding && uses.find((place) => place === holding);
    const isOnOwnKey = here?.key && here.key.start <= offset && offset <= here.key.end;
    const identity = here && !isOnOwnKey ? identityOf(recipe, here) : undefined;
    if (!here || identity === undefined) return undefined;
    const places = uses.filter((place) => identityOf(recipe, place) === identity);
    const definitions = places.filter(({ path }) => path[0] === 'candidates').map(({ span }) => span);
    const label = here.kind === 'text' ? here.text : recipe.text.slice(here.span.start, here.span.end);
    return { kind: 'use', label, at: here.span, places, definitions, spans: places.map(({ span }) => span) };
}

interface Mark extends Span {
    readonly name: string;
    readonly isAnchor: boolean;
}

const known = new WeakMap<Recipe, readonly Mark[]>();

/** The names of anchors and aliases, without `&` and `*`; none where no anchor can be. */
export function anchorMarks(recipe: Recipe): readonly Mark[] {
    let marks = known.get(recipe);
    if (!marks) known.set(recipe, (marks = recipe.text.includes('&') ? findMarks(recipe.text) : []));
    return marks;
}

function findMarks(text: string): Mark[] {
    const marks: Mark[] = [];
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, keepSourceTokens: true });
    visit(document, {
        Node: (_, node) => {
            const { anchor, range } = node;
            if (anchor === undefined || !range) return;
            // Properties stand before the value: in its line, or in that of its key.
            const start = text.lastIndexOf(`&${anchor}`, range[0]) + 1;
            if (start > 0) marks.push({ name: anchor, start, end: start + anchor.length, isAnchor: true });
        },
        Alias: (_, { source, range }) => {
            if (range && text[range[0]] === '*') marks.push({ name: source, start: range[0] + 1, end: range[0] + 1 + source.length, isAnchor: false });
        },
    });
    return marks.filter(({ name, start }, index) => marks.findIndex((other) => other.start === start && other.name === name) === index);
}

function anchorAt(recipe: Recipe, offset: number): Occurrences | undefined {
    const marks = anchorMarks(recipe);
    const here = marks.find(({ start, end }) => start - 1 <= offset && offset <= end);
    if (!here) return undefined;
    const same = marks.filter(({ name }) => name === here.name);
    const declared = same.filter(({ isAnchor }) => isAnchor);
    // A bare pattern looks like an alias, too.
    if (declared.length === 0) return undefined;
    // Of an anchor that is written twice an alias means the last one before it.
    const before = here.isAnchor ? [here] : declared.filter(({ start }) => start < here.start).slice(-1);
    return { kind: 'anchor', label: here.name, at: here, definitions: before, spans: same };
}
