import * as l10n from '@vscode/l10n';
import type { Edit } from './edited';
import { isDirective, linesOf, nextColumn, tokenAt, type Line, type Token } from './lines';
import { withoutMarks } from './marks';
import { reachOf, type Reach, type Spot } from './reach';
import type { Span } from './recipe';

/** How lines that stand wrong may have been meant. */
export interface Reading {
    /** How many columns each tab before them stands for. */
    readonly tab: number;
    /** How many columns deeper they belong; negative: less deep. */
    readonly by: number;
}

/** One place that keeps a text from being YAML, or that makes it YAML that nobody means. */
export interface Fault {
    readonly span: Span;
    readonly message: string;
    /** What is left out for the rest to be read. */
    readonly lost: readonly Span[];
    /** Whether parsers accept it. */
    readonly isLegal: boolean;
    /** How what is left out may have been meant to stand, the likeliest first. */
    readonly readings?: readonly Reading[];
    /** Where, in what is left out, a line stands at a level that was there before: it and what follows may be right as they are. */
    readonly turn?: number;
    /** What may be missing at the end of a quote or bracket. */
    readonly closing?: Edit;
}

/** An entry's own lines, with those that its value goes on in when it is in quotes or brackets. */
export interface Unit extends Span {
    readonly column: number;
}

export interface Layout {
    readonly faults: readonly Fault[];
    readonly units: readonly Unit[];
}

/** A mapping's keys or a list's dashes, which stand one below another. */
interface Level {
    readonly column: number;
    readonly kind: 'key' | 'dash';
}

/** Which lines below a fault belong to it and are no faults of their own. */
interface Shadow {
    /** Lines this deep that no level knows. */
    readonly column: number;
    /** Whatever is this deep. */
    readonly from: number;
    /** Lines with a tab before them, and what no level knows. */
    readonly tabs: boolean;
    /** Those that were there before. */
    readonly levels: readonly Level[];
    readonly fault: Mutable<Fault> & { readonly lost: Span[] };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NOWHERE = Infinity;
const UNCLOSED_KEY = /^([A-Za-z_][A-Za-z0-9_]+:)(?=[^ \t/])/;
const UNCLOSED_DASH = /^-(?=[A-Za-z"'[{*])/;
/** What no plain text has. */
const PAIR = /:(?:[ \t]|$)/;
/** What no plain text and no key begins with. */
const RESERVED = /^[@`%,\]}|>]/;
const COMMA = /,[ \t]*(?:#.*)?$/;
const COMMA_KEY = /,[ \t]*[^ \t,:#]+:[ \t]/;
const LONGEST_NAME = 40;
const NO_SHADOW = { column: NOWHERE, from: NOWHERE, tabs: false, levels: [] };
const LINES_AHEAD = 19;
/** How many columns people have a tab stand for. */
const TABS = [2, 4, 8];

/**
 * How lines stand below one another. Parsers say of a wrong indentation what they expected and where they stopped; this says which line is wrong, and
 * goes on behind it. The engine has the same reading (`quant_engine/layout.py`); docs/diagnostics.md#yaml-syntax describes it.
 *
 * @param roots the keys that belong at the far left
 */
export function layoutOf(text: string, roots: ReadonlySet<string> = new Set()): Layout {
    const lines = linesOf(text);
    const keys = lines.filter((line) => !line.isEmpty && tokenAt(line, line.indent).kind === 'key');
    const root = keys.reduce((least, { indent }) => Math.min(least, indent), NOWHERE);
    const isRecipe = keys.some((line) => line.indent === root && roots.has(tokenAt(line, root).name));
    const unmarked = withoutMarks(lines, root);
    const { faults, units } = new Reader(unmarked.lines, root, roots, isRecipe).read();
    return { faults: [...unmarked.faults, ...faults], units };
}

/** An unknown key at the far left that ended deeper levels, which may go on behind it: then it is what stands wrong. */
interface Stray {
    readonly line: Line;
    readonly token: Token;
    /** Those that it ended, and those above them. */
    readonly levels: readonly Level[];
    /** Number of units before it. */
    readonly units: number;
}

class Reader {
    private readonly faults: Fault[] = [];
    private readonly units: Unit[] = [];
    private levels: Level[] = [];
    /** Column of a key or dash whose value may begin in the next line. */
    private waiting: { readonly column: number; readonly isKey: boolean } | undefined = { column: -1, isKey: false };
    /** Whether the last value is one that goes on in deeper lines. */
    private isPlain = false;
    private shadow: Shadow | undefined;
    private index = 0;
    /** What lines of keys in the form with a question mark begin with. */
    private readonly explicit = new Set<string>();
    private stray: Stray | undefined;

    constructor(
        private readonly lines: readonly Line[],
        private readonly root: number,
        private readonly roots: ReadonlySet<string>,
        /** Whether one of them stands there. */
        private readonly isRecipe: boolean,
    ) {}

    read(): Layout {
        while (this.index < this.lines.length) {
            const line = this.lines[this.index]!;
            if (line.isEmpty) this.index++;
            else if (isDirective(line)) this.leaveOut(line, line.written.length, l10n.t('a line that begins with "%" is a directive, which no recipe needs'), false);
            else if (/^[?:](?:[ \t]|$)/.test(line.written.slice(line.indent))) this.readExplicit(line);
            else this.readLine(line);
        }
        // Whoever writes keys in this form knows what it is for.
        return { faults: this.explicit.size > 1 ? [] : this.faults, units: this.units };
    }

    private readExplicit(line: Line): void {
        const mark = line.written[line.indent]!;
        this.explicit.add(mark);
        this.leaveOut(line, 1, mark === '?' ? l10n.t('a "?" begins a key in a form that no recipe needs') : l10n.t('a key is missing before ":"'), true);
    }

    private leaveOut(line: Line, length: number, message: string, isLegal: boolean): void {
        const start = line.start + line.indent;
        this.faults.push({ span: { start, end: start + length }, message, lost: [line], isLegal });
        this.units.push({ start: line.start, end: line.end, column: line.indent });
        this.index++;
    }

    private readLine(line: Line): void {
        const first = this.index;
        const token = tokenAt(line, line.indent);
        const lost = this.isShadowed(line, token) ? this.shadow!.fault.lost : this.check(line, token);
        if (lost) this.skip(line, token);
        else if (token.kind === 'text' && !this.waiting) this.index++;
        else this.take(line, token);
        const span = { start: line.start, end: this.lines[this.index - 1]!.end };
        lost?.push(span);
        this.units.push({ ...span, column: this.lines[first]!.indent });
    }

    private isShadowed(line: Line, { kind }: Token): boolean {
        const { shadow } = this;
        if (!shadow) return false;
        const stands = (level: Level): boolean => level.column === line.indent && level.kind === kind;
        const isKnown = this.levels.some(stands);
        const isFirst = this.waiting !== undefined && line.indent > this.waiting.column;
        const isBelow = shadow.tabs ? line.tab >= 0 || !(isKnown || isFirst) : line.tab < 0 && (line.indent >= shadow.from || (line.indent >= shadow.column && !isKnown));
        if (!isBelow) this.shadow = undefined;
        else if (isKnown || shadow.levels.some(stands)) shadow.fault.turn ??= line.start;
        return isBelow;
    }

    /** What is lost when the line stands wrong; undefined: it stands right, and its level is the last one now. */
    private check(line: Line, token: Token): Span[] | undefined {
        if (line.tab >= 0) {
            const message = l10n.t('a tab stands in the indentation, where only spaces can');
            return this.fault(line, line.tab, 1, message, { ...NO_SHADOW, tabs: true }, false, this.readings(line, token, TABS));
        }
        return token.kind === 'text' ? this.checkText(line, token) : this.checkEntry(line, token, token.kind);
    }

    private checkEntry(line: Line, token: Token, kind: Level['kind']): Span[] | undefined {
        const { column } = token;
        const { waiting } = this;
        if (waiting && (column > waiting.column || (column === waiting.column && waiting.isKey && kind === 'dash'))) {
            if (kind === 'dash' && this.isBeforeRoots(column)) return this.wrong(line, token, l10n.t('where keys stand'), NOWHERE);
            if (waiting.column < 0 && kind === 'key' && column > this.root) return this.wrong(line, token, l10n.t('deeper than the first keys of the recipe'));
            this.levels.push({ column, kind });
            return undefined;
        }
        const known = this.levels.findLastIndex((level) => level.column === column && level.kind === kind);
        if (known < 0 && this.recall(token)) return undefined;
        if (known < 0) return this.wrong(line, token, this.reason(token));
        if (column === this.root && kind === 'key') this.lookForStray(line, token, known);
        this.levels.length = known + 1;
        this.waiting = undefined;
        return undefined;
    }

    private lookForStray(line: Line, token: Token, level: number): void {
        if (this.roots.has(token.name)) this.stray = undefined;
        else if (this.levels.length > level + 1) this.stray = { line, token, levels: [...this.levels], units: this.units.length };
    }

    /** Whether the entry goes on a level that a stray key had ended: that one is the fault. */
    private recall({ column, kind }: Token): boolean {
        const { stray } = this;
        const level = stray?.levels.findLastIndex((other) => other.column === column && other.kind === kind) ?? -1;
        if (!stray || level < 0) return false;
        const message = l10n.t('wrong indentation: "{0}" stands {1} deep, between keys that stand {2} deep; align it with the keys that it belongs to', clipped(stray.token.name), columns(stray.token.column), column);
        const length = keyLength(stray.line, stray.token);
        const lost = this.fault(stray.line, stray.token.column, length, message, NO_SHADOW, false, [{ tab: 1, by: column - stray.token.column }]);
        lost.push(...this.units.slice(stray.units).map(({ start, end }) => ({ start, end })));
        this.shadow = this.stray = undefined;
        this.levels = stray.levels.slice(0, level + 1);
        this.waiting = undefined;
        return true;
    }

    private reason({ column, kind }: Token): string {
        const top = this.levels.at(-1);
        if (this.levels.some((level) => level.column === column)) return kind === 'dash' ? l10n.t('where keys stand') : l10n.t('where the dashes of a list stand');
        if (!top || column < top.column) return l10n.t('at none of the levels above it');
        return top.kind === 'key' ? l10n.t('below a key that has its value already') : l10n.t('below a list item that is complete');
    }

    private checkText(line: Line, token: Token): Span[] | undefined {
        const { column } = token;
        if (this.waiting && column > this.waiting.column) return this.checkFirstText(line, token);
        const level = this.levels.findLastIndex((other) => other.column === column);
        const top = this.levels.at(-1);
        if (level < 0) {
            if (this.isPlain && top && column > top.column && !PAIR.test(token.name)) {
                this.waiting = undefined;
                return undefined;
            }
            return this.wrong(line, token, this.reason(token));
        }
        const ended = this.levels.splice(level + 1);
        this.waiting = undefined;
        return this.incomplete(line, token, this.levels[level]!.kind, false, ended);
    }

    /** A text that begins a value in a line of its own: perhaps a key or an item that lacks something. */
    private checkFirstText(line: Line, token: Token): Span[] | undefined {
        const below = this.lines.slice(this.index + 1, this.index + 1 + LINES_AHEAD).find(({ isEmpty }) => !isEmpty);
        const above = below?.indent === token.column ? tokenAt(below, below.indent).kind : 'text';
        const isAlone = !below && this.levels.length === 0;
        const isItem = UNCLOSED_DASH.test(token.name) && !isAlone;
        const isKey = UNCLOSED_KEY.test(token.name) && !isAlone;
        const kind = isItem ? 'dash' : isKey ? 'key' : above;
        if (this.isBeforeRoots(token.column) && !/^["'[{&!]/.test(token.name)) return this.incomplete(line, token, 'key', true);
        if (kind === 'text' || (above !== 'text' && /^["'[{|>&*!]/.test(token.name))) return undefined;
        this.levels.push({ column: token.column, kind });
        this.waiting = undefined;
        return this.incomplete(line, token, kind, above !== 'key');
    }

    /** Whether the first keys of a recipe follow what stands there. */
    private isBeforeRoots(column: number): boolean {
        return this.isRecipe && this.waiting?.column === -1 && column >= this.root;
    }

    private incomplete(line: Line, { column, name }: Token, kind: Level['kind'], isLegal: boolean, ended: readonly Level[] = []): Span[] | undefined {
        // A key may have an anchor or a tag, or be an alias.
        if (/^[&*!]/.test(name) && PAIR.test(name)) return undefined;
        const shadow = { ...NO_SHADOW, from: column + 1, levels: ended };
        const [unclosed] = UNCLOSED_DASH.exec(name) ?? UNCLOSED_KEY.exec(name) ?? [];
        if (unclosed !== undefined) return this.fault(line, column, unclosed.length, l10n.t('a space is missing behind "{0}"', unclosed), shadow, isLegal);
        const broken = /^["'[{]/.test(name) ? reachOf([line], { line: 0, column }, column).fault : undefined;
        if (broken) return this.fault(line, broken.at.column, 1, broken.message, shadow);
        if (RESERVED.test(name) && PAIR.test(name)) return this.fault(line, column, 1, reservedMessage(name), shadow);
        const message = kind === 'key' ? l10n.t('a colon is missing: "{0}" is no key', clipped(name)) : l10n.t('a dash is missing: "{0}" is no item', clipped(name));
        return this.fault(line, column, name.length, message, shadow, isLegal);
    }

    /** `depth`: of lines below that belong to it, unless a level knows them. */
    private wrong(line: Line, token: Token, reason: string, depth = token.column): Span[] {
        const { column, kind, name } = token;
        const top = this.levels.at(-1);
        const next = nextColumn(line, token.end);
        const isOpen = kind === 'key' && next === undefined;
        const from = kind === 'dash' ? (next ?? column + 1) : isOpen ? column + 1 : NOWHERE;
        const message = kind === 'dash'
            ? l10n.t('wrong indentation: "{0}" stands {1} deep, {2}; align it with the dashes that it belongs to', clipped(name), columns(column), reason)
            : l10n.t('wrong indentation: "{0}" stands {1} deep, {2}; align it with the keys that it belongs to', clipped(name), columns(column), reason);
        // Behind a plain text a dash goes on with it.
        const isText = kind === 'dash' && this.isPlain && top !== undefined && column > top.column;
        const isLegal = isText && !PAIR.test(line.written) && !/[ \t]#/.test(line.written);
        const length = kind === 'key' ? keyLength(line, token) : name.length;
        return this.fault(line, column, length, message, { ...NO_SHADOW, column: depth, from }, isLegal, this.readings(line, token, [1]));
    }

    /** As if it stood at one of the levels above it, the nearest first, or where it is when a tab is what is wrong with it. */
    private readings(line: Line, { column, kind }: Token, tabs: readonly number[]): Reading[] {
        const readings: Reading[] = [];
        for (const tab of tabs) {
            const depth = line.written.slice(0, column).replaceAll('\t', ' '.repeat(tab)).length;
            const shifts = this.levels.filter((level) => level.kind === kind).map((level) => level.column - depth);
            // Of two that are as near, the later one is the one that the eye rests on.
            shifts.reverse().sort((a, b) => Math.abs(a) - Math.abs(b));
            if (line.tab >= 0 && !shifts.includes(0)) shifts.unshift(0);
            readings.push(...shifts.map((by) => ({ tab, by })));
        }
        return readings;
    }

    private fault(line: Line, column: number, length: number, message: string, shadow: Omit<Shadow, 'fault'>, isLegal = false, readings: readonly Reading[] = []): Span[] {
        const start = line.start + column;
        const fault = { span: { start, end: start + length }, message, lost: [], isLegal, readings };
        this.faults.push(fault);
        this.shadow = { ...shadow, fault };
        return fault.lost;
    }

    /** Reads over a line that does not count, and over what its value opens. */
    private skip(line: Line, token: Token): void {
        const { waiting, isPlain, faults, levels } = this;
        const [known, depth] = [faults.length, levels.length];
        if (token.kind === 'text') this.index++;
        else this.take(line, token);
        faults.length = known;
        levels.length = depth;
        this.waiting = waiting;
        this.isPlain = isPlain;
    }

    /** Reads a line's dashes, key and value. */
    private take(line: Line, first: Token): void {
        let token = first;
        while (token.kind === 'dash') {
            this.waiting = { column: token.column, isKey: false };
            this.isPlain = false;
            const next = nextColumn(line, token.end);
            if (next === undefined) {
                this.index++;
                return;
            }
            token = tokenAt(line, next);
            if (token.kind !== 'text') this.levels.push({ column: next, kind: token.kind });
        }
        if (token.kind === 'key') this.waiting = { column: token.column, isKey: true };
        this.takeValue(line, token.kind === 'key' ? token.end : token.column, this.waiting?.column ?? -1);
    }

    /** `owner`: column of the key or dash that the value belongs to. */
    private takeValue(line: Line, from: number, owner: number): void {
        const begin = this.index++;
        this.isPlain = false;
        const properties = /^(?:[ \t]*[&!][^ \t]*(?=[ \t]|$))*/.exec(line.written.slice(from))![0].length;
        const at = nextColumn(line, from + properties);
        if (at === undefined) return;
        const { waiting } = this;
        this.waiting = undefined;
        const text = line.written.slice(at);
        if (/^["'[{]/.test(text)) this.takeEnclosed({ line: begin, column: at }, owner, waiting);
        else if (/^[|>][-+0-9]*[ \t]*(?:#.*)?$/.test(text)) this.takeBlock(owner);
        else if (!text.startsWith('*')) {
            this.isPlain = true;
            this.checkPlain(line, at);
        }
    }

    private takeEnclosed(begin: Spot, owner: number, waiting: Reader['waiting']): void {
        const whole = reachOf(this.lines, begin, owner);
        const isBroken = whole.isOpen || this.behind(whole) !== undefined;
        // What is not closed ends with its line where entries follow: those were never meant to be inside.
        const isAlone = isBroken && this.isAboveEntry(begin.line);
        const reach = isAlone ? reachOf(this.lines.slice(0, begin.line + 1), begin, owner) : whole;
        this.index = reach.line + 1;
        if (reach.isOpen && isAlone) this.waiting = waiting;
        if (!reach.fault) {
            this.checkBehind(reach);
            return;
        }
        const { fault: { at, message }, end } = reach;
        const start = this.offset(at);
        const lost = [{ start: this.offset(begin), end: this.lines[reach.line]!.end }];
        const closing = end && { start: this.offset(end), end: this.offset(end), text: end.text };
        this.faults.push({ span: { start, end: start + 1 }, message, lost, isLegal: false, closing });
    }

    private offset({ line, column }: Spot): number {
        return this.lines[line]!.start + column;
    }

    /** Whether the next line begins an entry, and not one between brackets: with a comma behind it, another key, or what closes them. */
    private isAboveEntry(index: number): boolean {
        const below = this.lines.slice(index + 1, index + 1 + LINES_AHEAD).find(({ isEmpty }) => !isEmpty);
        if (!below) return false;
        const { kind, end } = tokenAt(below, below.indent);
        const value = below.written.slice(end);
        const [opened, closed] = [/[[{]/g, /[\]}]/g].map((bracket) => value.match(bracket)?.length ?? 0);
        const isBetween = closed! > opened! || COMMA.test(value) || (opened === 0 && COMMA_KEY.test(value));
        return kind === 'dash' || (kind === 'key' && !isBetween);
    }

    /** Column of what stands behind a value that has ended. */
    private behind({ line, column }: Reach): number | undefined {
        const { written } = this.lines[line]!;
        const next = nextColumn(this.lines[line]!, column);
        return next === undefined || written[next] === ':' ? undefined : next;
    }

    private checkBehind(reach: Reach): void {
        const line = this.lines[reach.line]!;
        const next = this.behind(reach);
        if (next === undefined) return;
        const { name } = tokenAt({ ...line, written: line.written.replace(/:/g, ' ') }, next);
        const [start, length] = [line.start + next, Math.max(1, name.length)];
        const message = l10n.t('"{0}" stands behind a value that is complete', clipped(line.written.slice(next, next + length)));
        this.faults.push({ span: { start, end: start + length }, message, lost: [{ start: line.start + reach.column, end: line.end }], isLegal: false });
    }

    private takeBlock(owner: number): void {
        for (let line = this.lines[this.index]; line && (line.isEmpty || line.indent > owner); line = this.lines[this.index]) this.index++;
    }

    /** A plain text begins with no sign that means something, and has no colon that a space follows. */
    private checkPlain(line: Line, column: number): void {
        const { kind, name } = tokenAt(line, column);
        const start = line.start + column;
        const tell = (length: number, message: string): void => {
            this.faults.push({ span: { start, end: start + length }, message, lost: [{ start, end: line.end }], isLegal: false });
        };
        if (kind === 'key') tell(name.length, l10n.t('"{0}" is a second key in one line; write it into a line of its own, or in quotes when it is a text', clipped(name)));
        else if (kind === 'dash') tell(1, l10n.t('a list begins in a line of its own'));
        else if (RESERVED.test(name)) tell(1, reservedMessage(name));
    }
}

function columns(count: number): string {
    return count === 1 ? l10n.t('1 column') : l10n.t('{0} columns', count);
}

/** Of a key as it is written, without its colon. */
function keyLength(line: Line, { column, end }: Token): number {
    return line.written.slice(column, end).replace(/[ \t]*:$/, '').length;
}

function reservedMessage(name: string): string {
    return l10n.t('what begins with "{0}" must be in quotes', name[0]!);
}

function clipped(name: string): string {
    const characters = [...name];
    return characters.length > LONGEST_NAME ? `${characters.slice(0, LONGEST_NAME - 1).join('')}…` : name;
}
