import { Lately } from './lately';
import type { Span } from './recipe';

/** A line of a text, without what ends it. */
export interface Line extends Span {
    readonly written: string;
    /** Number of spaces and tabs that it begins with. */
    readonly indent: number;
    /** Place of the first tab among them; -1: none. */
    readonly tab: number;
    /** Whether it says nothing: blank, or a comment. */
    readonly isEmpty: boolean;
}

/** What begins at a column of a line. */
export interface Token {
    readonly kind: 'key' | 'dash' | 'text';
    readonly column: number;
    /** Column behind the key and its colon, or behind the dash; of a text the end of the line. */
    readonly end: number;
    /** As written: the key without colon and quotes, the dash, or the text without a comment. */
    readonly name: string;
}

export function linesOf(text: string): Line[] {
    const lines: Line[] = [];
    const ends = /\r\n|\r|\n|$/g;
    for (let start = 0; start < text.length || start === 0; start = ends.lastIndex) {
        ends.lastIndex = start;
        const { index: end } = ends.exec(text)!;
        const { written, indent, tab, isEmpty } = shapes.get(text.slice(start, end), shapeOf);
        lines.push({ start, end, written, indent, tab, isEmpty });
        if (ends.lastIndex === start) break;
    }
    return lines;
}

/** After a keystroke nearly all lines are the same: more of them are remembered than a long recipe has. */
export const MOST_LINES = 8000;
const shapes = new Lately<Omit<Line, keyof Span>>(MOST_LINES);

function shapeOf(written: string): Omit<Line, keyof Span> {
    const indentation = /^[ \t]*/.exec(written)![0];
    const isEmpty = indentation.length === written.length || written[indentation.length] === '#';
    return { written, indent: indentation.length, tab: indentation.indexOf('\t'), isEmpty };
}

/** A key with its colon: quoted, or anything that YAML lets a plain key begin with. */
const KEY = /(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^ \t"'[\]{},:#&*!|>%@`?-][^#]*?))[ \t]*:(?=[ \t]|$)/y;

const tokens = new Lately<Token[]>(MOST_LINES);

export function tokenAt({ written }: Line, column: number): Token {
    const known = tokens.get(written, () => []);
    let token = known.find((other) => other.column === column);
    if (!token) known.push((token = findToken(written, column)));
    return token;
}

function findToken(written: string, column: number): Token {
    if (written[column] === '-' && /^(?:[ \t]|$)/.test(written.slice(column + 1))) return { kind: 'dash', column, end: column + 1, name: '-' };
    KEY.lastIndex = column;
    const [key, ...names] = KEY.exec(written) ?? [];
    if (key !== undefined) return { kind: 'key', column, end: column + key.length, name: names.find((name) => name !== undefined) ?? '' };
    return { kind: 'text', column, end: written.length, name: written.slice(column).replace(/[ \t]+#.*$|[ \t]+$/, '') };
}

/** Column of the next thing in the line; undefined: nothing follows but a comment. */
export function nextColumn({ written }: Line, column: number): number | undefined {
    const next = column + /^[ \t]*/.exec(written.slice(column))![0].length;
    return next >= written.length || (written[next] === '#' && next > column) ? undefined : next;
}

export function isDirective({ written }: Line): boolean {
    return written.startsWith('%');
}
