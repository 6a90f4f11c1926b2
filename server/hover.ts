import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { Hover } from 'vscode-languageserver/node';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { layerPattern } from '../protocol/pattern';
import { amount, bytes } from './amounts';
import { modelHeader, type Facts } from './facts';
import { aboutBudget, aboutQuantize } from './hover-budget';
import { aboutData } from './hover-data';
import { aboutPattern, tiedSentence } from './hover-layers';
import { aboutKey, slotOfKey } from './hover-key';
import { aboutMethod, aboutScheme, regrouped, sizeSentence } from './hover-method';
import { lastRun } from './last-run';
import { countOfLayers, patternPlaces, rulePlaces } from './layers';
import { missingModelAdvice } from './model-fixes';
import { rangeOf } from './positions';
import { childNamed, placeHolding, plainValue, type Place, type Recipe } from './recipe';
import { listedValues } from './schema';
import { soundPart } from './sound';
import { readShortName, readUse } from './uses';
import { flowText } from './yaml-text';

/** What is under the cursor: a key's meaning, a value's meaning, what a pattern matches, what a checkpoint is. */
export function hover(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    return hoverIn(soundPart(recipe).recipe, offset, facts);
}

function hoverIn(recipe: Recipe, offset: number, facts: Facts): Hover | undefined {
    const place = placeHolding(recipe, offset);
    if (!place?.slot) return undefined;
    const onKey = place.key && place.key.start <= offset && offset <= place.key.end;
    if (onKey && place.key) return markdown(recipe, place.key, keyOf(recipe, place, facts)!);
    if (recipe.text[place.span.start] === '*' && (place.kind === 'mapping' || place.kind === 'list')) return markdown(recipe, place.span, aboutAlias(recipe, place, facts));
    if (place.children.length > 0 || place.kind === 'mapping' || place.kind === 'list') return undefined;
    const text = aboutValue(recipe, place, facts);
    return text === undefined ? undefined : markdown(recipe, place.span, text);
}

function markdown(recipe: Recipe, span: Parameters<typeof rangeOf>[1], value: string): Hover {
    return { contents: { kind: 'markdown', value }, range: rangeOf(recipe, span) };
}

function aboutValue(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const slot = place.slot!;
    const header = modelHeader(recipe, facts);
    if (slot.format === 'checkpoint') return aboutCheckpoint(recipe, place, facts);
    if (slot.format === 'path' && place.kind === 'text' && place.value !== '') return aboutData(recipe, place, facts) ?? keyOf(recipe, place, facts);
    if (slot.format === 'layer-pattern' && place.kind === 'text') return header && aboutPattern(place.text, header, lastRun(recipe, facts.result));
    if (place.key?.name === 'method' && place.kind === 'text' && Object.hasOwn(recipe.schema.methods, place.text)) return aboutMethod(recipe, place, place.text, true, aboutScheme(recipe, place.parent, header));
    const short = place.kind === 'text' ? readShortName(recipe, slot, place.text) : undefined;
    if (short) return aboutShortName(recipe, place, short, header);
    const listed = slot.alternatives.flatMap(listedValues).find(({ value }) => value === place.value);
    const isScheme = place.key?.name === 'scheme' && place.parent?.shape !== undefined;
    const use = isScheme ? readUse(recipe, place.parent) : undefined;
    if (listed?.description) return [`\`${place.text}\` — ${use ? regrouped(listed.description, use) : listed.description}`, isScheme ? sizeSentence(recipe, place.parent, header) : ''].filter(Boolean).join('\n\n');
    return keyOf(recipe, place, facts);
}

function keyOf(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const { key, slot } = place;
    return key && slot ? [aboutKey(recipe, key.name, slotOfKey(recipe, place.parent, key.name, slot)), inThisRecipe(recipe, place, facts)].filter(Boolean).join('\n\n') : undefined;
}

/** What a key comes to with this checkpoint and what is written beside it. */
function inThisRecipe(recipe: Recipe, place: Place, facts: Facts): string {
    const header = modelHeader(recipe, facts);
    const steps = place.path.join('.');
    if (place.key?.name === 'group_size') {
        const use = readUse(recipe, place.parent);
        return use?.format?.regroupable === false ? l10n.t('{0} has no group size to choose: remove group_size', use.scheme) : sizeSentence(recipe, place.parent, header);
    }
    if (!header) return '';
    if (steps === 'quantize') return aboutQuantize(recipe, header);
    if (/^quantize\.budget(\.(bits_per_weight|size|min_sqnr))?$/.test(steps)) return aboutBudget(recipe, place, header, facts);
    return '';
}

function aboutShortName(recipe: Recipe, place: Place, short: { method: string; scheme: string }, header: CheckpointHeader | undefined): string {
    return [`**${place.text}**`, aboutMethod(recipe, place, short.method, false), aboutScheme(recipe, place, header)].filter(Boolean).join('\n\n');
}

/** What an alias stands for: as one would write it there, and what it means. */
function aboutAlias(recipe: Recipe, place: Place, facts: Facts): string {
    const text = `**${recipe.text.slice(place.span.start, place.span.end)}** — \`${flowText(plainValue(place)).replace(/`/g, ' ')}\``;
    const method = childNamed(place, 'method');
    const isMethod = method !== undefined && readUse(recipe, place) !== undefined;
    return [text, ...(isMethod ? [aboutMethod(recipe, method, method.text, false), aboutScheme(recipe, place, modelHeader(recipe, facts))] : [])].filter(Boolean).join('\n\n');
}

function aboutCheckpoint(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const fact = facts.checkpoints.get(place.text);
    if (fact?.state === 'refused' && fact.code === 'model-missing') return [fact.message, missingModelAdvice(place, facts)].filter(Boolean).join('\n\n');
    if (fact?.state !== 'read') return fact?.message;
    const { header } = fact;
    const { architecture, parameters, dtype, blocks, linears, maximumTokens, quantization, tiedHead } = header;
    const outside = linears.filter(({ block }) => block === null);
    const named = outside.filter(({ name }) => rulePlaces(recipe).flatMap(patternPlaces).some(({ text }) => layerPattern(text)(name)));
    const left = outside.filter((layer) => !named.includes(layer)).map(({ name }) => `\`${name}\``);
    const rows = [
        `**${path.basename(header.folder)}** — ${architecture || l10n.t('unknown architecture')}`,
        l10n.t('{0} parameters in {1}, {2}; {3} blocks, {4} to quantize.', amount(parameters), dtype, bytes(header.bytes), blocks, countOfLayers(linears.length - left.length)),
    ];
    if (left.length > 0) rows.push(l10n.t('{0} only when a rule names it.', left.join(', ')));
    if (tiedHead !== null) rows.push(tiedSentence(tiedHead));
    if (maximumTokens !== null) rows.push(l10n.t('Sequences of at most {0} tokens.', maximumTokens));
    if (quantization !== null) rows.push(l10n.t('Already quantized ({0}).', quantization));
    return rows.join('\n\n');
}
