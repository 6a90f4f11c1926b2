import type { LineCounter } from 'yaml';
import type { Position, Range } from 'vscode-languageserver/node';
import type { Recipe, Span } from './recipe';

export function positionOf(lines: LineCounter, offset: number): Position {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(0, line - 1), character: Math.max(0, col - 1) };
}

export function rangeOf(recipe: Recipe, span: Span): Range {
    const at = (offset: number): Position => positionOf(recipe.lines, beforeLineEnd(recipe.text, offset));
    return { start: at(span.start), end: at(span.end) };
}

/** What ends a line is one thing: nothing stands between its two characters. */
function beforeLineEnd(text: string, offset: number): number {
    return text[offset - 1] === '\r' && text[offset] === '\n' ? offset - 1 : offset;
}

/** The offset of a position, kept inside the text and inside its line. */
export function offsetAt(text: string, { line, character }: Position): number {
    let start = 0;
    for (let current = 0; current < line; current++) {
        const newline = text.indexOf('\n', start);
        if (newline < 0) return text.length;
        start = newline + 1;
    }
    const newline = text.indexOf('\n', start);
    return beforeLineEnd(text, Math.min(start + character, newline < 0 ? text.length : newline));
}
