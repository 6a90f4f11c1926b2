import type { Span } from './recipe';

/** Other characters in the place of some. */
export interface Edit extends Span {
    readonly text: string;
}

/** A text that was changed in places, and where each of its offsets stood before. */
export interface Edited {
    readonly text: string;
    readonly back: (offset: number) => number;
}

/** `edits`: in any order, none inside another one. What is new stands within what it replaces. */
export function edited(text: string, edits: readonly Edit[]): Edited {
    const pieces: string[] = [];
    /** Where pieces of the old text begin in the new one. */
    const kept = [{ at: 0, from: 0 }];
    let [length, from] = [0, 0];
    for (const { start, end, text: written } of [...edits].sort((a, b) => a.start - b.start)) {
        pieces.push(text.slice(from, start), written);
        length += start - from + written.length;
        kept.push({ at: length, from: (from = end) });
    }
    pieces.push(text.slice(from));
    const back = (offset: number): number => {
        const index = kept.findLastIndex(({ at }) => at <= offset);
        const { at, from: start } = kept[index]!;
        return Math.min(start + offset - at, kept[index + 1]?.from ?? text.length);
    };
    return { text: pieces.join(''), back };
}

/** The same text with blanks for some of it, so that everything else stands where it stood. */
export function blanked(text: string, spans: readonly Span[]): string {
    const pieces: string[] = [];
    let at = 0;
    for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
        if (end <= at) continue;
        pieces.push(text.slice(at, Math.max(at, start)), text.slice(Math.max(at, start), end).replace(/[^\r\n]/g, ' '));
        at = end;
    }
    return pieces.join('') + text.slice(at);
}
