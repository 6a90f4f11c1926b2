import type { Path, Place, Recipe, Span } from './recipe';

export type Code =
    | 'yaml-syntax' | 'duplicate-key' | 'unknown-key' | 'missing-key' | 'exclusive-keys' | 'wrong-type' | 'unknown-value' | 'out-of-range'
    | 'model-missing' | 'model-broken' | 'model-not-safetensors' | 'model-unsupported' | 'model-quantized'
    | 'data-missing' | 'data-empty' | 'data-broken' | 'budget-unreachable' | 'sequence-too-long' | 'no-layer-matches' | 'rule-shadowed'
    | 'group-size' | 'fused-layers' | 'duplicate-candidate' | 'nothing-to-quantize' | 'output-format' | 'argument-format' | 'argument-scheme'
    | 'output-exists' | 'output-unwritable' | 'output-is-model' | 'calibration-missing'
    | 'layers-repeated' | 'method-scheme' | 'budget-idle' | 'data-short' | 'data-folder' | 'disk-space' | 'deprecated-key' | 'secret'
    | 'bfloat16-only' | 'tokenizer' | 'experts-mixed';

/** Another place that explains a finding: of the recipe, or, by the absolute path of a file, the beginning of that. */
export type Related = { readonly message: string } & ({ readonly span: Span } | { readonly file: string });

/** One entry of docs/diagnostics.md at one place of the recipe. */
export interface Finding {
    readonly code: Code;
    readonly severity: 'error' | 'warning' | 'information';
    readonly span: Span;
    readonly message: string;
    /** Of the value, or the absent key, that is wrong. */
    readonly path?: Path;
    /** Other places that explain the finding. */
    readonly related?: readonly Related[];
    /** What a quick fix would write instead of the span's text, best first. */
    readonly replacements?: readonly string[];
    /** What a quick fix would write, without quotes, instead of a text in quotes. */
    readonly unquoted?: string;
    /** The key that a quick fix would add to the mapping at this place, or one of several. */
    readonly missing?: { readonly owner: Place; readonly keys: readonly string[] };
    /** A quick fix would remove the whole entry. */
    readonly removable?: Place;
}

/** A finding about a value that is written. */
export function errorAt(code: Code, place: Place, message: string, replacements: readonly string[] = []): Finding {
    return { code, severity: 'error', span: place.span, message, path: place.path, replacements };
}

/** Where a finding about a value is shown: the value, or the dash or nearest key before it when nothing is written. */
export function spanOf(recipe: Recipe, place: Place): Span {
    return place.span.start === place.span.end ? ownerSpan(recipe, place) : place.span;
}

/** The key or dash that a place belongs to; the first line for the document itself. */
export function ownerSpan(recipe: Recipe, place: Place): Span {
    return place.key ?? place.dash ?? (place.parent ? ownerSpan(recipe, place.parent) : firstLine(recipe));
}

/** What the schema found wrong, so that nothing is said of the files that a wrong value names. */
export class WrongPlaces {
    private readonly paths: readonly Path[];

    constructor(findings: readonly Finding[]) {
        this.paths = findings.flatMap(({ path }) => (path ? [path] : []));
    }

    /** Whether the value and everything around it is right. */
    isRight({ path }: Place): boolean {
        return !this.paths.some((wrong) => startsWith(path, wrong));
    }

    /** Whether everything inside is right, too. */
    isWhollyRight(place: Place): boolean {
        return this.isRight(place) && !this.paths.some((wrong) => startsWith(wrong, place.path));
    }
}

function startsWith(path: Path, beginning: Path): boolean {
    return beginning.length <= path.length && beginning.every((step, index) => step === path[index]);
}

export function firstLine(recipe: Recipe): Span {
    const end = recipe.text.search(/\r|\n/);
    return { start: 0, end: end < 0 ? recipe.text.length : end };
}
