import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { Hover } from 'vscode-languageserver/node';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { amount, bytes } from './amounts';
import { modelHeader, type Facts } from './facts';
import { aboutBudget, aboutQuantize } from './hover-budget';
import { aboutData } from './hover-data';
import { aboutPattern, tiedSentence } from './hover-layers';
import { aboutMethod, sizeSentence } from './hover-method';
import { lastRun } from './last-run';
import { countOfLayers } from './layers';
import { rangeOf } from './positions';
import { placeHolding, type Place, type Recipe } from './recipe';
import { listedValues, type JsonSchema, type Slot } from './schema';
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
    if (onKey && place.key) return markdown(recipe, place.key, keyOf(recipe, place, facts)!);
    if (place.children.length > 0 || place.kind === 'mapping' || place.kind === 'list') return undefined;
    const text = aboutValue(recipe, place, facts);
    return text === undefined ? undefined : markdown(recipe, place.span, text);
}

function markdown(recipe: Recipe, span: Parameters<typeof rangeOf>[1], value: string): Hover {
    return { contents: { kind: 'markdown', value }, range: rangeOf(recipe, span) };
}

function aboutKey(name: string, slot: Slot): string {
    const lines = [`**${name}**`, slot.description];
    const facts = slot.alternatives.flatMap(({ schema }) => rangeText(schema));
    const names = slot.alternatives.flatMap((alternative) => listedValues(alternative).map(({ value }) => `\`${String(value)}\``));
    if (names.length > 0) facts.push(l10n.t('Values: {0}.', names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '')));
    if (slot.default !== undefined && slot.default !== null && !slot.saysDefault) {
        facts.push(l10n.t('Default: {0}.', `\`${JSON.stringify(slot.default)}\``));
    }
    return [...lines, facts.join(' ')].filter(Boolean).join('\n\n');
}

function rangeText({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string[] {
    const [low, high] = [minimum ?? exclusiveMinimum, maximum ?? exclusiveMaximum];
    if (low === undefined) return high === undefined ? [] : [l10n.t('Range: to {0}.', high)];
    if (exclusiveMinimum !== undefined) return [high === undefined ? l10n.t('Range: above {0}.', low) : l10n.t('Range: above {0} to {1}.', low, high)];
    return [high === undefined ? l10n.t('Range: from {0}.', low) : l10n.t('Range: from {0} to {1}.', low, high)];
}

function aboutValue(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const slot = place.slot!;
    const header = modelHeader(recipe, facts);
    if (slot.format === 'checkpoint') return aboutCheckpoint(place, facts);
    if (slot.format === 'path' && place.kind === 'text' && place.value !== '') return aboutData(recipe, place, facts) ?? keyOf(recipe, place, facts);
    if (slot.format === 'layer-pattern' && place.kind === 'text') return header && aboutPattern(place.text, header, lastRun(recipe, facts.result));
    if (place.key?.name === 'method' && place.kind === 'text' && Object.hasOwn(recipe.schema.methods, place.text)) return aboutMethod(recipe, place, place.text, true);
    const short = place.kind === 'text' ? readShortName(recipe, slot, place.text) : undefined;
    if (short) return aboutShortName(recipe, place, short, header);
    const listed = slot.alternatives.flatMap(listedValues).find(({ value }) => value === place.value);
    const isScheme = place.key?.name === 'scheme' && place.parent?.shape !== undefined;
    if (listed?.description) return [`\`${place.text}\` — ${listed.description}`, isScheme ? sizeSentence(recipe, place.parent, header) : ''].filter(Boolean).join('\n\n');
    return keyOf(recipe, place, facts);
}

function keyOf(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    return place.key && place.slot ? [aboutKey(place.key.name, place.slot), inThisRecipe(recipe, place, facts)].filter(Boolean).join('\n\n') : undefined;
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
    const { architecture, parameters, dtype, blocks, linears, maximumTokens, quantization, tiedHead } = header;
    const rows = [
        `**${path.basename(header.folder)}** — ${architecture || l10n.t('unknown architecture')}`,
        l10n.t('{0} parameters in {1}, {2}; {3} blocks, {4} to quantize.', amount(parameters), dtype, bytes(header.bytes), blocks, countOfLayers(linears.length)),
    ];
    if (tiedHead !== null) rows.push(tiedSentence(tiedHead));
    if (maximumTokens !== null) rows.push(l10n.t('At most {0} tokens.', maximumTokens));
    if (quantization !== null) rows.push(l10n.t('Already quantized ({0}).', quantization));
    return rows.join('\n\n');
}
