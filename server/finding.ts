import type { Place, Recipe, Span } from './recipe';

export type Code =
    | 'yaml-syntax' | 'duplicate-key' | 'unknown-key' | 'missing-key' | 'wrong-type' | 'unknown-value' | 'out-of-range'
    | 'model-missing' | 'model-broken' | 'model-not-safetensors' | 'model-unsupported' | 'model-quantized'
    | 'data-missing' | 'data-empty' | 'sequence-too-long' | 'no-layer-matches' | 'group-size' | 'output-exists' | 'output-is-model';

/** One entry of docs/diagnostics.md at one place of the recipe. */
export interface Finding {
    readonly code: Code;
    readonly severity: 'error' | 'warning';
    readonly span: Span;
    readonly message: string;
    /** Another place that explains the finding. */
    readonly related?: { readonly span: Span; readonly message: string };
    /** What a quick fix would write instead of the span's text, best first. */
    readonly replacements?: readonly string[];
    /** Keys that a quick fix would add to the mapping at this place. */
    readonly missing?: { readonly owner: Place; readonly key: string };
    /** A quick fix would remove the whole entry. */
    readonly removable?: Place;
}

/** Where a finding about a value is shown: the value, or its key when nothing is written. */
export function spanOf(place: Place): Span {
    return place.span.start === place.span.end && place.key ? place.key : place.span;
}

export function firstLine(recipe: Recipe): Span {
    const end = recipe.text.search(/\r|\n/);
    return { start: 0, end: end < 0 ? recipe.text.length : end };
}
