import { CST, Lexer } from 'yaml';
import type { TextEdit } from 'vscode-languageserver/node';
import { edited, type Edit } from './edited';
import { Indenter } from './indenter';
import { rangeOf } from './positions';
import { parseRecipe, plainValue, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';
import { isDeepStrictEqual } from 'node:util';

/**
 * Two spaces for each level, one space between things in a line, no white space behind them, one empty line at most. Order, comments, quotes and line
 * breaks stay. Nothing is changed in a text that is no YAML: nobody knows how deep its lines were meant to stand.
 *
 * @param within only the lines that this touches
 */
export function format(recipe: Recipe, within?: Span): TextEdit[] {
    if (soundPart(recipe).faults.length > 0) return [];
    const all = editsOf(recipe.text);
    const lines = within && wholeLines(recipe.text, within);
    const wanted = lines ? all.filter(({ start, end }) => start <= lines.end && lines.start <= end) : all;
    // Some lines of a section at another depth than the rest would be another recipe.
    const safe = [wanted, wanted.filter((edit) => !edit.isIndent)].find((edits) => saysTheSame(recipe, edits)) ?? [];
    return safe.map(({ start, end, text }) => ({ range: rangeOf(recipe, { start, end }), newText: text }));
}

function wholeLines(text: string, { start, end }: Span): Span {
    const next = text.indexOf('\n', end);
    return { start: text.lastIndexOf('\n', start - 1) + 1, end: next < 0 ? text.length : next };
}

/** Another white space. */
interface Change extends Edit {
    readonly isIndent: boolean;
}

function saysTheSame(recipe: Recipe, edits: readonly Edit[]): boolean {
    const after = parseRecipe(edited(recipe.text, edits).text, recipe.schema);
    return soundPart(after).faults.length === 0 && isDeepStrictEqual(plainValue(after.root), plainValue(recipe.root)) && commentsOf(after.text) === commentsOf(recipe.text);
}

function commentsOf(text: string): string {
    return [...new Lexer().lex(text)].filter((token) => CST.tokenType(token) === 'comment').map((comment) => comment.trimEnd()).join('\n');
}

interface Token {
    readonly type: CST.TokenType | null;
    readonly source: string;
    readonly start: number;
}

/** The lexer's tokens that take part in the text, its marks left out. */
function tokensOf(text: string): Token[] {
    const tokens: Token[] = [];
    let start = 0;
    let isScalar = false;
    for (const source of new Lexer().lex(text)) {
        const type = isScalar ? 'scalar' : CST.tokenType(source);
        const isMark = !isScalar && (source === CST.SCALAR || source === CST.DOCUMENT || source === CST.FLOW_END);
        // What follows the mark of a scalar is its text, whatever it looks like.
        isScalar = !isScalar && source === CST.SCALAR;
        if (isMark) continue;
        tokens.push({ type, source, start });
        start += source.length;
    }
    return tokens;
}

/** Tokens of one line, and what ends it; a scalar over several lines belongs to the line in which it begins. */
interface TokenLine {
    readonly tokens: readonly Token[];
    readonly newline: Token | undefined;
}

function linesOf(tokens: readonly Token[]): TokenLine[] {
    const lines: TokenLine[] = [];
    let line: Token[] = [];
    for (const token of tokens) {
        if (token.type === 'newline') {
            lines.push({ tokens: line, newline: token });
            line = [];
            continue;
        }
        line.push(token);
        // A block of text ends with its last line's break.
        if (token.type === 'scalar' && token.source.endsWith('\n')) {
            lines.push({ tokens: line, newline: undefined });
            line = [];
        }
    }
    return line.length > 0 ? [...lines, { tokens: line, newline: undefined }] : lines;
}

function editsOf(text: string): Change[] {
    const changes: Change[] = [];
    const indenter = new Indenter();
    const lines = linesOf(tokensOf(text));
    let empty = 0;
    let hasContent = false;
    lines.forEach(({ tokens, newline }, index) => {
        const said = tokens.filter(({ type }) => type !== 'space' && type !== 'byte-order-mark');
        const lineStart = tokens.find(({ type }) => type !== 'byte-order-mark')?.start ?? newline?.start ?? text.length;
        const lineEnd = newline?.start ?? text.length;
        if (said.length === 0) {
            empty++;
            const isLast = lines.slice(index + 1).every((line) => line.tokens.every(({ type }) => type === 'space'));
            if ((empty > 1 || !hasContent || isLast) && newline) change(changes, text, lineStart, newline.start + newline.source.length, '', false);
            else change(changes, text, lineStart, lineEnd, '', false);
            return;
        }
        empty = 0;
        hasContent = true;
        const first = said[0]!;
        if (lines[index - 1]?.tokens.some(({ type }) => type === 'block-scalar-header')) {
            continuations(changes, text, first, indenter.shift);
            return;
        }
        const next = lines.slice(index + 1).find((line) => line.tokens.some(({ type }) => type !== 'space' && type !== 'comment'));
        const depth = indenter.line(said.map((token) => ({ ...token, column: token.start - lineStart })), next && columnOf(next));
        if (depth !== undefined) change(changes, text, lineStart, first.start, ' '.repeat(depth), true);
        said.slice(1).forEach((token, position) => {
            const before = said[position]!;
            const gap = gapBetween(before, token, said[position - 1]);
            if (gap !== undefined) change(changes, text, before.start + before.source.length, token.start, gap, false);
        });
        const last = said.at(-1)!;
        if (last.type === 'block-scalar-header' || last.type === 'comment') change(changes, text, last.start + last.source.trimEnd().length, last.start + last.source.length, '', false);
        change(changes, text, last.start + last.source.length, lineEnd, '', false);
        for (const token of said) if (token.source.includes('\n')) continuations(changes, text, token, indenter.shift);
        if (!newline && !last.source.endsWith('\n')) change(changes, text, text.length, text.length, text.includes('\r\n') ? '\r\n' : '\n', false);
    });
    return changes;
}

function columnOf({ tokens }: TokenLine): { readonly column: number; readonly type: Token['type'] } {
    const first = tokens.find(({ type }) => type !== 'space' && type !== 'byte-order-mark')!;
    return { column: first.start - tokens[0]!.start, type: first.type };
}

function change(changes: Change[], text: string, start: number, end: number, written: string, isIndent: boolean): void {
    if (text.slice(start, end) !== written) changes.push({ start, end, text: written, isIndent });
}

/** The later lines of a scalar move with the entry that it belongs to. */
function continuations(changes: Change[], text: string, { source, start }: Token, shift: number): void {
    if (shift === 0) return;
    for (const { 0: whole, 1: margin = '', index } of source.matchAll(/(?:^|\n)([ ]*)(?=[^\s])/g)) {
        const at = start + index + whole.length - margin.length;
        if (index === 0 && !whole.startsWith('\n') && text[start - 1] !== '\n') continue;
        change(changes, text, at, at + margin.length, ' '.repeat(Math.max(0, margin.length + shift)), true);
    }
}

/** What separates two things in a line; undefined: what does so now. */
function gapBetween(left: Token, right: Token, beforeLeft: Token | undefined): string | undefined {
    if (right.type === 'comment') return undefined;
    switch (left.type) {
        case 'seq-item-ind': case 'explicit-key-ind': case 'map-value-ind': case 'comma': return ' ';
        case 'anchor': case 'tag': return ' ';
        case 'flow-map-start': return right.type === 'flow-map-end' ? '' : ' ';
        case 'flow-seq-start': return right.type === 'flow-seq-end' ? '' : '';
        default:
    }
    // Without the space the colon would belong to the name.
    if (right.type === 'map-value-ind') return left.type === 'alias' || beforeLeft?.type === 'explicit-key-ind' ? undefined : '';
    if (right.type === 'comma' || right.type === 'flow-seq-end') return '';
    return right.type === 'flow-map-end' ? ' ' : undefined;
}
