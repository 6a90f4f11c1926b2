import type { TextEdit } from 'vscode-languageserver/node';
import { linesOf, nextColumn, tokenAt, type Line } from './lines';
import { rangeOf } from './positions';
import { placeHolding, type Recipe } from './recipe';
import { reachOf } from './reach';

const STEP = 2;

/** After Enter: how deep the new line stands that the cursor is in. Only white space changes, and never that of a line which already says something. */
export function indentNewLine(recipe: Recipe, offset: number): TextEdit[] {
    const { text } = recipe;
    const end = { start: text.length, end: text.length, written: '', indent: 0, tab: -1, isEmpty: true };
    const lines: readonly Line[] = /[\r\n]$/.test(text) ? [...linesOf(text), end] : linesOf(text);
    const index = lines.findLastIndex(({ start }) => start <= offset);
    const line = lines[index];
    if (!line || index === 0 || line.written.trim() !== '' || offset > line.end) return [];
    const above = lines.slice(0, index).findLastIndex(({ written }) => written.trim() !== '');
    const wanted = above < 0 ? 0 : depthBelow(recipe, lines, above);
    if (wanted === undefined || line.written === ' '.repeat(wanted)) return [];
    return [{ range: rangeOf(recipe, { start: line.start, end: line.end }), newText: ' '.repeat(wanted) }];
}

/** undefined: in a text over several lines nobody but its author knows. */
function depthBelow(recipe: Recipe, lines: readonly Line[], index: number): number | undefined {
    const line = lines[index]!;
    const bracket = openBracket(lines, index);
    if (bracket) return bracket;
    if (line.written[line.indent] === '#') return line.indent;
    if (/^[^#]*:[ \t]+[|>][-+0-9]*[ \t]*(?:#.*)?$/.test(line.written)) return undefined;
    let column = line.indent;
    let token = tokenAt(line, column);
    while (token.kind === 'dash') {
        const next = nextColumn(line, token.end);
        // Behind a dash alone its entry begins.
        if (next === undefined) return token.column + STEP;
        const inner = tokenAt(line, next);
        // A list of words goes on with another one.
        if (inner.kind === 'text') return token.column;
        column = next;
        token = inner;
    }
    const isOpen = token.kind === 'key' && nextColumn(line, token.end) === undefined;
    return isOpen && opens(recipe, line.start + column) ? column + STEP : column;
}

/** Whether the value of the key there may stand in lines of its own. */
function opens(recipe: Recipe, offset: number): boolean {
    const slot = placeHolding(recipe, offset)?.slot;
    return !slot || slot.alternatives.some(({ kind }) => kind === 'mapping' || kind === 'list');
}

/** How deep a line stands that follows one in which a bracket is open; undefined: none is. */
function openBracket(lines: readonly Line[], index: number): number | undefined {
    for (let first = index; first >= 0; first--) {
        const line = lines[first]!;
        const token = tokenAt(line, line.indent);
        const at = /[[{]/.exec(line.written.slice(line.indent))?.index;
        if (at !== undefined && line.written[line.indent] !== '#') {
            const begin = valueColumn(line);
            if (begin !== undefined && /["'[{]/.test(line.written[begin]!)) {
                const reach = reachOf(lines.slice(0, index + 1), { line: first, column: begin }, line.indent);
                if (reach.isOpen && reach.line === index) return line.indent + STEP * Math.max(1, depthOf(lines.slice(first, index + 1), begin));
            }
        }
        // An entry that begins here holds nothing that began before it.
        if (token.kind !== 'text' && first < index && line.indent === 0) return undefined;
    }
    return undefined;
}

/** Column of the value in a line, behind its dashes and its key. */
function valueColumn(line: Line): number | undefined {
    let column: number | undefined = line.indent;
    while (column !== undefined && column < line.written.length) {
        const token = tokenAt(line, column);
        if (token.kind === 'text') return column;
        column = nextColumn(line, token.end);
    }
    return column;
}

/** Brackets that are open at the end of the lines, as far as quotes do not hide them. */
function depthOf(lines: readonly Line[], begin: number): number {
    const text = lines.map(({ written }, index) => (index === 0 ? written.slice(begin) : written)).join('\n');
    const said = text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:^|[ \t])#[^\n]*/g, '');
    return (said.match(/[[{]/g)?.length ?? 0) - (said.match(/[\]}]/g)?.length ?? 0);
}
