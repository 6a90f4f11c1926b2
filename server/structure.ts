import * as l10n from '@vscode/l10n';
import { FoldingRangeKind, SymbolKind, type DocumentLink, type DocumentSymbol, type FoldingRange } from 'vscode-languageserver/node';
import { placesWithFormat } from './facts';
import { patternPlaces } from './layers';
import { rangeOf } from './positions';
import { childNamed, type Place, type Recipe, type Span } from './recipe';
import type { Kind } from './schema';

const SYMBOL_KINDS: Readonly<Record<Kind, SymbolKind>> = {
    mapping: SymbolKind.Object, list: SymbolKind.Array, text: SymbolKind.String, integer: SymbolKind.Number, number: SymbolKind.Number,
    boolean: SymbolKind.Boolean, nothing: SymbolKind.Null,
};

/** The outline: keys with their values, rules by their patterns. */
export function documentSymbols(recipe: Recipe): DocumentSymbol[] {
    return recipe.root.children.map(symbol);

    function symbol(place: Place): DocumentSymbol {
        const whole: Span = { start: Math.min(place.key?.start ?? place.span.start, place.span.start), end: Math.max(place.key?.end ?? 0, place.span.end) };
        return {
            name: symbolName(place),
            detail: place.children.length === 0 ? place.text : undefined,
            kind: SYMBOL_KINDS[place.kind],
            range: rangeOf(recipe, whole),
            selectionRange: rangeOf(recipe, place.key ?? place.span),
            children: place.children.map(symbol),
        };
    }
}

function symbolName(place: Place): string {
    if (place.key) return place.key.name || l10n.t('(no name)');
    const patterns = place.kind === 'mapping' ? patternPlaces(place).map(({ text }) => text) : [];
    return patterns.join(', ') || childNamed(place, 'method')?.text || place.text || `#${Number(place.path.at(-1)) + 1}`;
}

/** Sections that take more than one line, and blocks of comment lines. */
export function foldingRanges(recipe: Recipe): FoldingRange[] {
    const ranges: FoldingRange[] = [];
    for (const place of recipe.places) {
        if (place.parent === undefined || place.children.length === 0) continue;
        const { start, end } = rangeOf(recipe, { start: place.key?.start ?? place.span.start, end: place.span.end });
        if (end.line > start.line) ranges.push({ startLine: start.line, endLine: end.line });
    }
    return [...ranges, ...commentRanges(recipe.text)];
}

function commentRanges(text: string): FoldingRange[] {
    const ranges: FoldingRange[] = [];
    let first: number | undefined;
    [...text.split('\n'), ''].forEach((line, index) => {
        const isComment = /^\s*#/.test(line);
        if (isComment) first ??= index;
        else if (first !== undefined) {
            if (index - first > 1) ranges.push({ startLine: first, endLine: index - 1, kind: FoldingRangeKind.Comment });
            first = undefined;
        }
    });
    return ranges;
}

export interface RunLink {
    readonly name: string;
    /** Of its directory. */
    readonly uri: string;
}

/** Paths that can be opened, and the last run's directory. `target` turns a path of the recipe into a URI; undefined where there is nothing. */
export function documentLinks(recipe: Recipe, target: (path: string, format: string) => string | undefined, run?: RunLink): DocumentLink[] {
    const links = ['checkpoint', 'path', 'output'].flatMap((format) =>
        placesWithFormat(recipe, format).flatMap((place) => {
            const uri = target(place.text, format);
            const quote = place.quoted ? 1 : 0;
            const span = { start: place.span.start + quote, end: place.span.end - quote };
            return uri === undefined ? [] : [{ range: rangeOf(recipe, span), target: uri }];
        }),
    );
    // The key stands for what was made, its value for where that is.
    const { key } = childNamed(recipe.root, 'output') ?? childNamed(recipe.root, 'quantize') ?? {};
    return run && key && key.end > key.start ? [...links, { range: rangeOf(recipe, key), target: run.uri, tooltip: l10n.t('Open the directory of run {0}', run.name) }] : links;
}
