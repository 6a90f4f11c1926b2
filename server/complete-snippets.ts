import * as l10n from '@vscode/l10n';
import { CompletionItemKind, InsertTextFormat, InsertTextMode, type CompletionItem } from 'vscode-languageserver/node';
import type { Cursor } from './cursor';
import { rangeOf } from './positions';
import type { Place, Recipe } from './recipe';
import { discriminator, type JsonSchema } from './schema';
import { plainDefault, Snippet } from './snippet';

/** Whole values to fill in: a rule, and each method with its main arguments. */
export function snippetItems(recipe: Recipe, cursor: Cursor): CompletionItem[] {
    const { place } = cursor;
    // Behind a key that is written, or beside others, only a part of one would fit.
    if (cursor.quoted || cursor.hasColon || place.children.some((child) => !isBeingWritten(child, cursor))) return [];
    const lines = linesFor(recipe, cursor);
    return lines.map(({ label, documentation, keys }, index): CompletionItem => {
        const first = cursor.kind === 'key' && !cursor.flow;
        const text = first ? keys.join(`\n${' '.repeat(dashColumns(recipe, place))}`) : `{ ${keys.join(', ')} }`;
        return {
            label, documentation: { kind: 'markdown', value: documentation }, kind: CompletionItemKind.Snippet, sortText: `m${String(index).padStart(3, '0')}`,
            filterText: label, insertTextFormat: InsertTextFormat.Snippet, insertTextMode: InsertTextMode.adjustIndentation,
            textEdit: { range: rangeOf(recipe, cursor.replace), newText: text },
        };
    });
}

function isBeingWritten(child: Place, cursor: Cursor): boolean {
    return child.key !== undefined && child.key.start <= cursor.replace.start && cursor.replace.end <= child.key.end;
}

/** The editor indents later lines as the first line is; keys of an item stand behind its dash. */
function dashColumns(recipe: Recipe, place: Place): number {
    if (!place.dash) return 0;
    const start = recipe.text.lastIndexOf('\n', place.dash.start - 1) + 1;
    const isFirst = recipe.text.slice(start, place.dash.start).trim() === '';
    return isFirst ? 2 : 0;
}

interface Lines {
    readonly label: string;
    readonly documentation: string;
    readonly keys: readonly string[];
}

function linesFor(recipe: Recipe, { place, kind, flow }: Cursor): Lines[] {
    const mappings = (place.slot?.alternatives ?? []).filter((alternative) => alternative.kind === 'mapping');
    const property = discriminator(mappings);
    if (property !== undefined) {
        return mappings.map(({ schema }) => {
            const name = String(schema.properties?.[property]?.const);
            return { label: l10n.t('{0} with its arguments', name), documentation: schema.description ?? '', keys: mainArguments(recipe, property, name, schema) };
        });
    }
    const [only] = mappings;
    if (mappings.length !== 1 || !only || place.parent?.kind !== 'list' || (only.schema.required?.length ?? 0) < 2) return [];
    if (kind === 'value' && !flow) return [];
    return [{ label: (only.schema.title ?? 'entry').toLowerCase(), documentation: only.schema.description ?? '', keys: new Snippet(recipe, true).keys(only.schema, 3) }];
}

const MOST_CHOICES = 16;
const OWN_ARGUMENTS = 2;

/** Method, scheme and group size where there is a choice, and the first of its own arguments: they are declared by how much they matter. */
function mainArguments(recipe: Recipe, property: string, name: string, schema: JsonSchema): string[] {
    const schemes = (schema.properties?.scheme?.enum ?? []).map(String);
    const usual = ['W4A16', 'W8A8', 'FP8_DYNAMIC'].find((scheme) => schemes.includes(scheme)) ?? schemes[0];
    const choices = [...new Set([...(usual === undefined ? [] : [usual]), ...schemes])].slice(0, MOST_CHOICES);
    let stop = 1;
    const keys = [`${property}: ${name}`, ...(choices.length > 0 ? [`scheme: \${${stop++}|${choices.join(',')}|}`] : [])];
    const format = usual === undefined ? undefined : recipe.schema.schemes[usual];
    if (format?.regroupable && format.group_size !== null && schema.properties?.group_size) keys.push(`group_size: \${${stop++}:${format.group_size}}`);
    const own = Object.entries(schema.properties ?? {}).filter(([key]) => ![property, 'scheme', 'group_size'].includes(key)).slice(0, OWN_ARGUMENTS);
    for (const [key, argument] of own) {
        const slot = recipe.schema.slot(argument);
        const values = slot.alternatives.flatMap(({ schema: { enum: listed } }) => listed ?? []).map(String);
        const ordered = [...new Set([...(values.includes(String(slot.default)) ? [String(slot.default)] : []), ...values])];
        keys.push(`${key}: ${ordered.length > 1 ? `\${${stop++}|${ordered.join(',')}|}` : `\${${stop++}:${plainDefault(slot.default)}}`}`);
    }
    return keys;
}
