import type { SelectionRange } from 'vscode-languageserver/node';
import { rangeOf } from './positions';
import type { Place, Recipe, Span } from './recipe';

/** From what the cursor is in to the whole text: a word of a value, the value, its entry, the section, and so on. */
export function selectionRange(recipe: Recipe, offset: number): SelectionRange {
    const spans: Span[] = [{ start: 0, end: recipe.text.length }];
    let place: Place | undefined = recipe.root;
    while (place) {
        spans.push(...spansOf(place));
        place = place.children.find((child) => entryOf(child).start <= offset && offset <= entryOf(child).end);
    }
    const word = wordAt(recipe.text, offset);
    if (word) spans.push(word);
    let range: SelectionRange | undefined;
    let last: Span | undefined;
    for (const span of spans) {
        const isInside = !last || (last.start <= span.start && span.end <= last.end && (last.start < span.start || span.end < last.end));
        const holds = span.start <= offset && offset <= span.end;
        if (!isInside || !holds) continue;
        range = { range: rangeOf(recipe, span), parent: range };
        last = span;
    }
    return range!;
}

/** Key or dash and value. */
function entryOf({ key, dash, span }: Place): Span {
    const start = Math.min(key?.start ?? span.start, dash?.start ?? span.start, span.start);
    return { start, end: Math.max(span.end, key?.end ?? 0, dash?.end ?? 0) };
}

function spansOf(place: Place): Span[] {
    const spans = [entryOf(place)];
    if (place.key) spans.push(place.key);
    spans.push(place.span);
    const quote = place.quoted || (place.flow && place.span.end - place.span.start >= 2) ? 1 : 0;
    if (quote) spans.push({ start: place.span.start + quote, end: place.span.end - quote });
    return spans;
}

/** A part of a pattern, a path or a short form. */
function wordAt(text: string, offset: number): Span | undefined {
    const before = /[\w]*$/.exec(text.slice(Math.max(0, offset - 200), offset))![0];
    const after = /^[\w]*/.exec(text.slice(offset, offset + 200))![0];
    return before + after === '' ? undefined : { start: offset - before.length, end: offset + after.length };
}
