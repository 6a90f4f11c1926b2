/** Entries of a mapping or a list in block style, as far as lines tell: what begins at one column. */
export interface Level {
    readonly kind: 'mapping' | 'list';
    /** Where its first entry begins, and in which column. */
    readonly start: number;
    readonly column: number;
    readonly parts: readonly (Leaf | Section)[];
}

/** Lines that are read together: an entry, with what no simple key or dash at its column begins. */
export interface Leaf {
    /** From the beginning of its first line to that of the next entry's, wherever that stands. */
    readonly start: number;
    readonly end: number;
    /** Lines with keys as deep as those that it stands below, and how many they are. */
    readonly frame: string;
    readonly depth: number;
    /** A line as deep as that of the next entry; '': none follows. */
    readonly next: string;
}

/** A key without a value in its line, and what stands below it. */
export interface Section {
    readonly name: string;
    /** Of the key. */
    readonly start: number;
    readonly level: Level;
}

/** A line, by what it begins with. */
interface Line {
    readonly start: number;
    readonly column: number;
    readonly kind: 'key' | 'dash' | 'nothing' | 'other';
    /** Of a key that nothing but a comment follows. */
    readonly name: string | undefined;
}

/** With fewer lines it costs more to read the entries of a section one by one than all of them together. */
const SMALL = 8;
const KEY = /([A-Za-z_][\w-]*):(?=[ \t\r\n]|$)/y;
const NO_VALUE = / *(?: #[^\r\n]*)?(?:\r?\n|$)/y;
/** Marks of documents, directives, keys in the form with a question mark. */
const UNUSUAL = /^\uFEFF|^(?:%|---|\.\.\.)|^[ \t]*(?:-[ \t]+)*[?:](?:[ \t\r]|$)/m;

/** undefined: it does not begin with a simple key at the far left, or has what concerns more than an entry. */
export function levelOf(text: string): Level | undefined {
    if (UNUSUAL.test(text)) return undefined;
    const lines = linesOf(text);
    const level = new Divider(text, lines).level(0, lines.length, '', 0);
    return level?.kind === 'mapping' && level.column === 0 ? level : undefined;
}

function linesOf(text: string): Line[] {
    const lines: Line[] = [];
    for (let start = 0; start < text.length; ) {
        let at = start;
        while (text[at] === ' ') at++;
        lines.push({ start, column: at - start, ...beginning(text, at) });
        const newline = text.indexOf('\n', at);
        start = newline < 0 ? text.length : newline + 1;
    }
    return lines;
}

function beginning(text: string, at: number): Pick<Line, 'kind' | 'name'> {
    const character = text[at];
    if (character === undefined || character === '\n' || character === '#' || (character === '\r' && text[at + 1] === '\n')) return { kind: 'nothing', name: undefined };
    if (character === '-') return { kind: /^(?:[ \t\r\n]|$)/.test(text.slice(at + 1, at + 2)) ? 'dash' : 'other', name: undefined };
    KEY.lastIndex = at;
    const [, name] = KEY.exec(text) ?? [];
    NO_VALUE.lastIndex = KEY.lastIndex;
    return { kind: name === undefined ? 'other' : 'key', name: name !== undefined && NO_VALUE.test(text) ? name : undefined };
}

class Divider {
    constructor(
        private readonly text: string,
        private readonly lines: readonly Line[],
    ) {}

    /** What stands between two lines, the second one exclusive. */
    level(from: number, to: number, frame: string, depth: number): Level | undefined {
        const { lines } = this;
        let first = from;
        while (first < to && lines[first]!.kind === 'nothing') first++;
        const { kind, column, start } = lines[first] ?? { kind: 'nothing', column: 0, start: 0 };
        if (first >= to || (kind !== 'key' && kind !== 'dash')) return undefined;
        const parts: (Leaf | Section)[] = [];
        for (let begin = first; begin < to; ) {
            let end = begin + 1;
            while (end < to && !(lines[end]!.column === column && lines[end]!.kind === kind)) end++;
            parts.push(this.section(begin, end, frame, depth) ?? this.leaf(begin, end, frame, depth));
            begin = end;
        }
        return { kind: kind === 'key' ? 'mapping' : 'list', start: start + column, column, parts };
    }

    private section(begin: number, end: number, frame: string, depth: number): Section | undefined {
        const { name, column, start } = this.lines[begin]!;
        if (name === undefined || end - begin < SMALL) return undefined;
        const level = this.level(begin + 1, end, `${frame}${' '.repeat(column)}k:\n`, depth + 1);
        return level && (level.column > column || (level.column === column && level.kind === 'list')) ? { name, start: start + column, level } : undefined;
    }

    private leaf(begin: number, end: number, frame: string, depth: number): Leaf {
        const next = this.lines[end];
        return {
            start: this.lines[begin]!.start, end: next?.start ?? this.text.length, frame, depth,
            next: next ? `${' '.repeat(next.column)}${next.kind === 'dash' ? '-' : 'k:'}\n` : '',
        };
    }
}
