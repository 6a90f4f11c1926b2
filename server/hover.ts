import * as path from 'node:path';
import type { Hover } from 'vscode-languageserver/node';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { bits } from '../protocol/decimals';
import { bitsPerWeight, type WeightFormat } from '../protocol/formats';
import { amount, bytes } from './amounts';
import { modelHeader, type Facts } from './facts';
import { countOfLayers, matchingLayers } from './layers';
import { rangeOf } from './positions';
import { placeHolding, type Place, type Recipe } from './recipe';
import { listedValues, type Slot } from './schema';
import { soundPart } from './sound';
import { readShortName, readUse } from './uses';

/** What is under the cursor: a key's meaning, a value's meaning, what a pattern matches, what a checkpoint is. */
export function hover(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    return hoverIn(soundPart(recipe).recipe, offset, facts);
}

function hoverIn(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    const place = placeHolding(recipe, offset);
    if (!place?.slot) return undefined;
    const onKey = place.key && place.key.start <= offset && offset <= place.key.end;
    if (onKey && place.key) return markdown(recipe, place.key, aboutKey(place.key.name, place.slot));
    if (place.children.length > 0 || place.kind === 'mapping' || place.kind === 'list') return undefined;
    const text = aboutValue(recipe, place, facts);
    return text === undefined ? undefined : markdown(recipe, place.span, text);
}

function markdown(recipe: Recipe, span: Parameters<typeof rangeOf>[1], value: string): Hover {
    return { contents: { kind: 'markdown', value }, range: rangeOf(recipe, span) };
}

function aboutKey(name: string, slot: Slot): string {
    const lines = [`**${name}**`, slot.description];
    const facts = slot.alternatives.flatMap(({ schema }) => {
        const low = schema.minimum ?? schema.exclusiveMinimum;
        const high = schema.maximum ?? schema.exclusiveMaximum;
        if (low === undefined && high === undefined) return [];
        const lowText = schema.exclusiveMinimum !== undefined ? `above ${low}` : `from ${low}`;
        return [`Range: ${[low === undefined ? '' : lowText, high === undefined ? '' : `to ${high}`].join(' ').trim()}.`];
    });
    const names = slot.alternatives.flatMap((alternative) => listedValues(alternative).map(({ value }) => `\`${String(value)}\``));
    if (names.length > 0) facts.push(`Values: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}.`);
    if (slot.default !== undefined && slot.default !== null && !slot.description.includes('Default:')) {
        facts.push(`Default: \`${JSON.stringify(slot.default)}\`.`);
    }
    return [...lines, facts.join(' ')].filter(Boolean).join('\n\n');
}

function aboutValue(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const slot = place.slot!;
    const header = modelHeader(recipe, facts);
    if (slot.format === 'checkpoint') return aboutCheckpoint(place, facts);
    if (slot.format === 'layer-pattern' && place.kind === 'text') return header && aboutPattern(place.text, header);
    const short = place.kind === 'text' ? readShortName(recipe, slot, place.text) : undefined;
    if (short) return aboutShortName(recipe, place, short, header);
    const listed = slot.alternatives.flatMap(listedValues).find(({ value }) => value === place.value);
    if (listed?.description) return `\`${place.text}\` — ${listed.description}`;
    return place.key ? aboutKey(place.key.name, slot) : undefined;
}

function aboutShortName(recipe: Recipe, place: Place, short: { method: string; scheme: string }, header: CheckpointHeader | undefined): string {
    const variant = place.slot!.alternatives.find(({ schema }) => schema.properties?.method?.const === short.method);
    const method = variant?.schema.properties?.method?.description ?? variant?.schema.description ?? '';
    const scheme = variant?.schema.properties?.scheme?.enumDescriptions?.[short.scheme] ?? '';
    return [`**${place.text}**`, method, `\`${short.scheme}\` — ${scheme}`, sizeSentence(recipe, place, header)].filter(Boolean).join('\n\n');
}

/** What a whole matrix shares does not count. */
const MANY_ROWS = 1 << 20;

function sizeSentence(recipe: Recipe, place: Place, header: CheckpointHeader | undefined): string {
    const use = readUse(recipe, place);
    if (!use?.format || use.groupSize === undefined) return '';
    const { format, groupSize } = use;
    const grouping = groupingOf(format, groupSize);
    if (groupSize !== null) return `${bits(bitsPerWeight(format, groupSize, MANY_ROWS, groupSize))} bits for each weight in ${grouping}.`;
    const largest = (header?.linears ?? []).reduce((most, linear) => Math.max(most, linear.inputs), 0);
    const layer = header?.linears.find(({ inputs }) => inputs === largest);
    return layer ? `${bits(bitsPerWeight(format, null, layer.outputs, layer.inputs))} bits for each weight, ${grouping}.` : `${format.num_bits} bits for each weight, ${grouping}.`;
}

function groupingOf(format: WeightFormat, groupSize: number | null): string {
    if (format.per_tensor) return 'one scale for the whole matrix';
    if (format.block) return `one scale for each block of ${format.block.join(' × ')}`;
    return groupSize === null ? 'one scale for each output row' : `groups of ${groupSize}`;
}

function aboutPattern(pattern: string, header: CheckpointHeader): string {
    const layers = matchingLayers(header, pattern);
    if (layers.length === 0) return `Matches no layer of ${path.basename(header.folder)}.`;
    const list = layers.slice(0, 6).map(({ name, outputs, inputs }) => `- \`${name}\` ${outputs} × ${inputs}`);
    const more = layers.length > list.length ? [`- and ${layers.length - list.length} more`] : [];
    return [`Matches **${countOfLayers(layers.length)}** with ${amount(parameters(layers))} weights:`, '', ...list, ...more].join('\n');
}

function aboutCheckpoint(place: Place, facts: Facts): string | undefined {
    const fact = facts.checkpoints.get(place.text);
    if (fact?.state !== 'read') return fact?.message;
    const { header } = fact;
    const rows = [
        `**${path.basename(header.folder)}** — ${header.architecture || 'unknown architecture'}`,
        `${amount(header.parameters)} parameters in ${header.dtype}, ${bytes(header.bytes)}; ${header.blocks} blocks, ${countOfLayers(header.linears.length)} to quantize.`,
    ];
    if (header.maximumTokens !== null) rows.push(`At most ${header.maximumTokens} tokens.`);
    if (header.quantization !== null) rows.push(`Already quantized (${header.quantization}).`);
    return rows.join('\n\n');
}

function parameters(layers: readonly Linear[]): number {
    return layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}
