import * as l10n from '@vscode/l10n';
import { Lately } from './lately';
import { isDirective, MOST_LINES, tokenAt, type Line } from './lines';

/** A character of a text, by its line's index and its column. */
export interface Spot {
    readonly line: number;
    readonly column: number;
}

/** How far a value reaches that begins with a quote or a bracket. */
export interface Reach {
    /** Index of its last line, and the column behind it there. */
    readonly line: number;
    readonly column: number;
    /** What keeps it from ending well. */
    readonly fault?: { readonly at: Spot; readonly message: string };
    /** What would end it, when nothing else is wrong with it, and where. */
    readonly end?: Spot & { readonly text: string };
    /** Whether it does not end. */
    readonly isOpen: boolean;
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

/**
 * Follows quotes and brackets over lines. A line that begins an entry as far left as the entry that the value belongs to (`column`) cannot be inside:
 * something before it was not closed.
 */
export function reachOf(lines: readonly Line[], begin: Spot, column: number): Reach {
    const { line, column: from } = begin;
    const known = ends.get(lines[line]!.written, () => new Map<number, number | undefined>());
    if (!known.has(from)) known.set(from, endInLine(lines[line]!, from));
    const end = known.get(from);
    return end === undefined ? followed(lines, begin, column) : { line, column: end, isOpen: false };
}

/** Of lines, and of values that begin in them: nearly all end well where they begin, whatever stands around. */
const ends = new Lately<Map<number, number | undefined>>(MOST_LINES);

function endInLine(line: Line, from: number): number | undefined {
    const { column, fault, isOpen } = followed([line], { line: 0, column: from }, from);
    return fault || isOpen ? undefined : column;
}

function followed(lines: readonly Line[], begin: Spot, column: number): Reach {
    const open: Opening[] = [];
    let fault: Reach['fault'];
    let at: Spot | undefined = begin;
    let last = begin;
    /** Behind what was read last. */
    let behind = begin;
    while (at) {
        const { written } = lines[at.line]!;
        const skipped: number = open.length > 0 ? ordinaryEnd(written, at.column) : at.column;
        if (skipped > at.column) behind = at = { line: at.line, column: skipped };
        last = at;
        const character = written[at.column];
        let next: Spot | undefined = { line: at.line, column: at.column + 1 };
        if (character === undefined || isComment(written, at)) next = nextLine(lines, at.line, column);
        else if (isQuote(written, at, open.length === 0)) {
            next = quoteEnd(lines, at, column);
            if (!next) return unclosedQuote(lines, at, open, fault);
        } else {
            const found = follow(open, written, at);
            fault ??= found;
        }
        if (open.length === 0 && next) return { ...next, fault, isOpen: false };
        if (character !== undefined && /[^ \t#]/.test(character)) behind = next!;
        at = next;
    }
    const unclosed = open.at(-1)!;
    const text = open.map(({ character }) => CLOSING[character]).reverse().join('');
    return { ...last, fault: fault ?? { at: unclosed, message: l10n.t('this "{0}" is not closed', unclosed.character) }, end: fault ? undefined : { ...behind, text: ` ${text}` }, isOpen: true };
}

/** Most of what stands in brackets is neither quote, bracket, comma, colon nor comment. */
const ORDINARY = /[^"'#{}[\],: \t]*/y;

function ordinaryEnd(written: string, column: number): number {
    ORDINARY.lastIndex = column;
    ORDINARY.test(written);
    return ORDINARY.lastIndex;
}

/** In brackets nobody knows how far the quote was meant to go. */
function unclosedQuote(lines: readonly Line[], at: Spot, open: readonly Opening[], fault: Reach['fault']): Reach {
    const { written } = lines[at.line]!;
    const length = written.slice(at.column).replace(/[ \t]+#.*$|[ \t]+$/, '').length;
    const end = open.length > 0 ? undefined : { line: at.line, column: at.column + length, text: written[at.column]! };
    return { ...at, fault: fault ?? { at, message: l10n.t('this quote is not closed') }, end, isOpen: true };
}

/** A bracket that is open, and whether a key with its colon stands behind the last comma in it. */
type Opening = Spot & { readonly character: string; hasKey: boolean };

function follow(open: Opening[], written: string, at: Spot): Reach['fault'] {
    const character = written[at.column]!;
    const inner = open.at(-1);
    if (character in CLOSING) open.push({ ...at, character, hasKey: false });
    else if (character === ']' || character === '}') {
        open.pop();
        if (CLOSING[inner!.character] !== character) return { at, message: l10n.t('"{0}" does not close "{1}"', character, inner!.character) };
    } else if (character === ',') inner!.hasKey = false;
    else if (character === ':' && /^(?:[ \t]|$)/.test(written.slice(at.column + 1))) {
        const [word] = /[^ \t,[\]{}]*$/.exec(written.slice(0, at.column))!;
        if (inner!.hasKey) return { at: { line: at.line, column: at.column - word.length }, message: l10n.t('a comma is missing before "{0}"', word) };
        inner!.hasKey = true;
    }
    return undefined;
}

/** In brackets an apostrophe inside a word quotes nothing. */
function isQuote(written: string, { column }: Spot, isFirst: boolean): boolean {
    return /["']/.test(written[column]!) && (isFirst || column === 0 || /[ \t,:[\]{}]/.test(written[column - 1]!));
}

function isComment(written: string, { column }: Spot): boolean {
    return written[column] === '#' && (column === 0 || /[ \t]/.test(written[column - 1]!));
}

/** Behind the closing quote. */
function quoteEnd(lines: readonly Line[], begin: Spot, column: number): Spot | undefined {
    const quote = lines[begin.line]!.written[begin.column]!;
    let at: Spot | undefined = { line: begin.line, column: begin.column + 1 };
    while (at) {
        const { written } = lines[at.line]!;
        const character = written[at.column];
        if (character === undefined) at = nextLine(lines, at.line, column);
        else if (character === '\\' && quote === '"') at = { line: at.line, column: Math.min(at.column + 2, written.length) };
        else if (character !== quote) at = { line: at.line, column: at.column + 1 };
        else if (quote === "'" && written[at.column + 1] === quote) at = { line: at.line, column: at.column + 2 };
        else return { line: at.line, column: at.column + 1 };
    }
    return undefined;
}

/** The start of the next line, unless the value cannot reach it. */
function nextLine(lines: readonly Line[], index: number, column: number): Spot | undefined {
    const line = lines[index + 1];
    if (!line) return undefined;
    const beginsEntry = !line.isEmpty && line.indent <= column && tokenAt(line, line.indent).kind !== 'text';
    return beginsEntry || isDirective(line) ? undefined : { line: index + 1, column: 0 };
}
