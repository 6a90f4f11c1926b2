import * as path from 'node:path';
import type { Hover } from 'vscode-languageserver/node';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { amount, bytes } from './amounts';
import { modelHeader, type Facts } from './facts';
import { aboutBudget, aboutQuantize } from './hover-budget';
import { aboutPattern } from './hover-layers';
import { aboutMethod, sizeSentence } from './hover-method';
import { lastRun } from './last-run';
import { countOfLayers } from './layers';
import { rangeOf } from './positions';
import { placeHolding, type Place, type Recipe } from './recipe';
import { listedValues, type Slot } from './schema';
import { soundPart } from './sound';
import { readShortName } from './uses';

/** What is under the cursor: a key's meaning, a value's meaning, what a pattern matches, what a checkpoint is. */
export function hover(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    return hoverIn(soundPart(recipe).recipe, offset, facts);
}

function hoverIn(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    const place = placeHolding(recipe, offset);
    if (!place?.slot) return undefined;
    const onKey = place.key && place.key.start <= offset && offset <= place.key.end;
    if (onKey && place.key) return markdown(recipe, place.key, [aboutKey(place.key.name, place.slot), inThisRecipe(recipe, place, facts)].filter(Boolean).join('\n\n'));
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
    if (slot.format === 'layer-pattern' && place.kind === 'text') return header && aboutPattern(place.text, header, lastRun(recipe, facts.result));
    if (place.key?.name === 'method' && place.kind === 'text' && Object.hasOwn(recipe.schema.methods, place.text)) return aboutMethod(recipe, place, place.text, true);
    const short = place.kind === 'text' ? readShortName(recipe, slot, place.text) : undefined;
    if (short) return aboutShortName(recipe, place, short, header);
    const listed = slot.alternatives.flatMap(listedValues).find(({ value }) => value === place.value);
    const isScheme = place.key?.name === 'scheme' && place.parent?.shape !== undefined;
    if (listed?.description) return [`\`${place.text}\` — ${listed.description}`, isScheme ? sizeSentence(recipe, place.parent, header) : ''].filter(Boolean).join('\n\n');
    return place.key ? [aboutKey(place.key.name, slot), inThisRecipe(recipe, place, facts)].filter(Boolean).join('\n\n') : undefined;
}

/** What a key comes to with this checkpoint and what is written beside it. */
function inThisRecipe(recipe: Recipe, place: Place, facts: Facts): string {
    const header = modelHeader(recipe, facts);
    const steps = place.path.join('.');
    if (place.key?.name === 'group_size') return sizeSentence(recipe, place.parent, header);
    if (!header) return '';
    if (steps === 'quantize') return aboutQuantize(recipe, header);
    if (/^quantize\.budget(\.(bits_per_weight|size|min_sqnr))?$/.test(steps)) return aboutBudget(recipe, place, header, facts);
    return '';
}

function aboutShortName(recipe: Recipe, place: Place, short: { method: string; scheme: string }, header: CheckpointHeader | undefined): string {
    const variant = place.slot!.alternatives.find(({ schema }) => schema.properties?.method?.const === short.method);
    const scheme = variant?.schema.properties?.scheme?.enumDescriptions?.[short.scheme] ?? '';
    const method = aboutMethod(recipe, place, short.method, false);
    return [`**${place.text}**`, method, `\`${short.scheme}\` — ${scheme}`, sizeSentence(recipe, place, header)].filter(Boolean).join('\n\n');
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
