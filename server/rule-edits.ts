import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { added, columnOf, lineEnd } from './entries';
import type { Edit } from './edited';
import { matchingLayers, rulePlaces } from './layers';
import { childNamed, placeAt, type Recipe } from './recipe';

/** A rule that is to be written: its patterns, and how it quantizes as it stands in a recipe. */
export interface NewRule {
    readonly layers: readonly string[];
    readonly use: string;
}

/** Longer lists of patterns get a line for each. */
const SHORT_LIST = 3;

/** Puts rules before the one at `index`, or behind all of them. note: a comment above them. undefined: the recipe has no section for rules. */
export function insertedRules(recipe: Recipe, index: number, rules: readonly NewRule[], note?: string): Edit | undefined {
    const { text } = recipe;
    const section = childNamed(recipe.root, 'quantize');
    const list = placeAt(recipe.root, ['quantize', 'rules']);
    if (section?.kind !== 'mapping' || rules.length === 0) return undefined;
    if (!list) return added(text, section, section.flow ? `rules: [${rules.map(flowRule).join(', ')}]` : `rules:\n${blockRules(rules, 2, note).join('\n')}`);
    const written = rulePlaces(recipe);
    const [next, last] = [written[index], written.at(-1)];
    if (list.kind === 'nothing' && list.key) {
        const end = list.key.end + /^[ \t]*:/.exec(text.slice(list.key.end))![0].length;
        return { start: end, end: Math.max(end, list.span.end), text: section.flow ? ` [${rules.map(flowRule).join(', ')}]` : block(text, rules, columnOf(text, list.key.start) + 2, note) };
    }
    if (list.kind !== 'list') return undefined;
    if (list.flow || !last) {
        const all = rules.map(flowRule).join(', ');
        if (next) return { start: next.span.start, end: next.span.start, text: `${all}, ` };
        const at = last ? last.span.end : list.span.start + 1;
        return { start: at, end: at, text: last ? `, ${all}` : all };
    }
    const column = columnOf(text, last.dash!.start);
    if (next) {
        const at = next.dash!.start - column;
        return { start: at, end: at, text: blockRules(rules, column, note).map((line) => line + lineEnd(text)).join('') };
    }
    const at = last.span.end + /^[^\r\n]*/.exec(text.slice(last.span.end))![0].length;
    return { start: at, end: at, text: block(text, rules, column, note) };
}

function block(text: string, rules: readonly NewRule[], column: number, note: string | undefined): string {
    return ['', ...blockRules(rules, column, note)].join(lineEnd(text));
}

function blockRules(rules: readonly NewRule[], column: number, note?: string): string[] {
    const space = ' '.repeat(column);
    const lines = rules.flatMap(({ layers, use }) => {
        const first = layers.length > SHORT_LIST ? [`${space}- layers:`, ...layers.map((pattern) => `${space}    - ${patternText(pattern)}`)] : [`${space}- layers: ${layersText(layers)}`];
        return [...first, `${space}  use: ${use}`];
    });
    return note === undefined ? lines : [`${space}# ${note}`, ...lines];
}

function flowRule({ layers, use }: NewRule): string {
    return `{ layers: ${layersText(layers)}, use: ${use} }`;
}

/** Patterns as the value of `layers`. */
export function layersText(layers: readonly string[]): string {
    return layers.length === 1 ? patternText(layers[0]!) : `[${layers.map(patternText).join(', ')}]`;
}

function patternText(pattern: string): string {
    return /^[A-Za-z_][\w.]*$/.test(pattern) ? pattern : JSON.stringify(pattern);
}

/** The shortest way to say which layers are meant: one pattern for all of a kind among `others`, else their names. */
export function patternsOf(wanted: readonly Linear[], others: readonly Linear[]): string[] {
    const names = new Set(wanted.map(({ name }) => name));
    const patterns = new Set<string>();
    for (const { name } of wanted) {
        const general = openName(name);
        const isWhole = others.every((other) => names.has(other.name) || openName(other.name) !== general);
        patterns.add(isWhole ? general : name);
    }
    return [...patterns];
}

/** A layer's name without its numbers. */
export function openName(name: string): string {
    return name.split('.').map((part) => (/^\d+$/.test(part) ? '*' : part)).join('.');
}

/** Whether patterns match these layers of a checkpoint and no others. */
export function matchesExactly(header: CheckpointHeader, pattern: string, wanted: readonly Linear[]): boolean {
    const matched = matchingLayers(header, pattern);
    return matched.length === wanted.length && matched.every((layer) => wanted.includes(layer));
}
