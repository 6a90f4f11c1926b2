import { modelPlace, type LastResult } from './facts';
import { ranRecipe } from './last-run';
import { placeAt, placeHolding, type Path, type Place, type Recipe, type Span } from './recipe';
import { occurrencesAt } from './references';
import { soundPart } from './sound';

/** Where something is defined: in the recipe itself, in a file or folder that it names, or in what a run kept of the recipe that ran. */
export type Definition =
    | { readonly kind: 'here'; readonly span: Span }
    | { readonly kind: 'path'; readonly path: string; readonly format: string }
    | { readonly kind: 'run'; readonly folder: string; readonly span: { readonly start: number; readonly end: number }; readonly ran: Recipe };

export interface Definitions {
    /** What is underlined. */
    readonly origin: Span;
    readonly targets: readonly Definition[];
}

const PATHS = new Set(['checkpoint', 'path', 'output']);

/**
 * A path leads to what it names, a way to quantize to the candidate that it is, an alias to its anchor, a pattern to the model, and a key to the same
 * place in the recipe that ran last.
 */
export function definitions(recipe: Recipe, offset: number, last: LastResult | undefined): Definitions | undefined {
    const occurrences = occurrencesAt(recipe, offset);
    if (occurrences) {
        const targets = occurrences.definitions.map((span): Definition => ({ kind: 'here', span }));
        if (targets.length > 0) return { origin: occurrences.at, targets };
    }
    const sound = soundPart(recipe).recipe;
    const place = placeHolding(sound, offset);
    if (!place) return undefined;
    if (place.key && place.key.start <= offset && offset <= place.key.end) return inLastRun(recipe, place, last);
    const { format } = place.slot ?? {};
    if (place.kind !== 'text' || place.value === '' || format === undefined) return undefined;
    const quote = place.quoted ? 1 : 0;
    const origin = { start: place.span.start + quote, end: place.span.end - quote };
    if (PATHS.has(format)) return { origin, targets: [{ kind: 'path', path: place.text, format }] };
    const model = format === 'layer-pattern' ? modelPlace(sound) : undefined;
    return model && { origin, targets: [{ kind: 'path', path: model.text, format: 'checkpoint' }] };
}

function inLastRun(recipe: Recipe, place: Place, last: LastResult | undefined): Definitions | undefined {
    const ran = last && ranRecipe(last, recipe.schema);
    const there = ran && nearestAt(ran, place.path);
    if (last?.folder === undefined || !there || !place.key) return undefined;
    const start = there.key?.start ?? there.dash?.start ?? there.span.start;
    return { origin: place.key, targets: [{ kind: 'run', folder: last.folder, span: { start, end: Math.max(start, there.span.end) }, ran }] };
}

/** The place, or the innermost one around it that there was. */
function nearestAt(recipe: Recipe, path: Path): Place | undefined {
    for (let length = path.length; length > 0; length--) {
        const place = placeAt(recipe.root, path.slice(0, length));
        if (place) return place;
    }
    return undefined;
}
