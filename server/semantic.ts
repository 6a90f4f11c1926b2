import { anchorMarks } from './references';
import { modelHeader, type Facts } from './facts';
import { matchingLayers } from './layers';
import { positionOf } from './positions';
import type { Place, Recipe, Span } from './recipe';
import { listedValues } from './schema';
import { soundPart } from './sound';
import { readShortName } from './uses';

export const TOKEN_TYPES = ['property', 'function', 'enumMember', 'number', 'keyword', 'variable', 'operator', 'string'] as const;
export const TOKEN_MODIFIERS = ['declaration', 'deprecated'] as const;

type TokenType = (typeof TOKEN_TYPES)[number];
type Modifier = (typeof TOKEN_MODIFIERS)[number];

export interface SemanticToken extends Span {
    readonly type: TokenType;
    readonly modifiers: readonly Modifier[];
}

/**
 * What the schema and the checkpoint say of words, over what the grammar can guess from their looks: keys that exist, methods, schemes, group sizes,
 * patterns that match, anchors. Unknown keys and patterns that match nothing get no token, so they look like text.
 */
export function semanticTokens(recipe: Recipe, facts: Facts, within?: Span): SemanticToken[] {
    const sound = soundPart(recipe).recipe;
    const header = modelHeader(sound, facts);
    const tokens: SemanticToken[] = anchorMarks(recipe).map(({ start, end, isAnchor }) => token({ start, end }, 'variable', isAnchor ? ['declaration'] : []));
    for (const place of sound.places) {
        if (place.key && place.slot) tokens.push(token(place.key, 'property', place.slot.deprecated ? ['deprecated'] : []));
        // What an alias stands for is shown where it is written.
        const isAlias = !place.quoted && recipe.text[place.span.start] === '*';
        if (place.children.length === 0 && place.slot && !isAlias) tokens.push(...valueTokens(sound, place, header));
    }
    return tokens
        .filter(({ start, end }) => start < end && !recipe.text.slice(start, end).includes('\n') && (!within || (start <= within.end && within.start <= end)))
        .sort((a, b) => a.start - b.start)
        .filter(({ start }, index, all) => index === 0 || all[index - 1]!.end <= start);
}

function token({ start, end }: Span, type: TokenType, modifiers: readonly Modifier[] = []): SemanticToken {
    return { start, end, type, modifiers };
}

function valueTokens(recipe: Recipe, place: Place, header: ReturnType<typeof modelHeader>): SemanticToken[] {
    const slot = place.slot!;
    const quote = place.quoted ? 1 : 0;
    const span = { start: place.span.start + quote, end: place.span.end - quote };
    if (place.kind === 'integer' || place.kind === 'number') return [token(span, 'number')];
    if (place.kind === 'boolean') return [token(span, 'keyword')];
    if (place.kind !== 'text') return [];
    if (slot.format === 'layer-pattern') return header && matchingLayers(header, place.text).length === 0 ? [] : patternTokens(place.text, span);
    if (slot.format !== undefined) return [token(span, 'string')];
    if (readShortName(recipe, slot, place.text)) return shortFormTokens(place.text, span);
    if (slot.alternatives.some(({ schema }) => schema.const === place.value && schema.const === 'none')) return [token(span, 'keyword')];
    if (place.key?.name === 'method') return slot.alternatives.some((alternative) => listedValues(alternative).some(({ value }) => value === place.value)) ? [token(span, 'function')] : [];
    if (slot.alternatives.some((alternative) => listedValues(alternative).some(({ value }) => value === place.value))) return [token(span, 'enumMember')];
    return slot.alternatives.some(({ schema }) => schema.examples && schema.pattern !== undefined && recipe.schema.matches(schema.pattern, place.text)) ? [token(span, 'number')] : [];
}

/** `gptq` `w4a16` `g64` of a short form; of one that is named after its scheme alone, only that. */
function shortFormTokens(text: string, { start, end }: Span): SemanticToken[] {
    const [, base = text, size] = /^(.*?)(?:-(g\d+|channel))?$/.exec(text)!;
    const dash = base.indexOf('-');
    const tokens = dash < 0
        ? [token({ start, end: start + base.length }, 'enumMember')]
        : [token({ start, end: start + dash }, 'function'), token({ start: start + dash + 1, end: start + base.length }, 'enumMember')];
    return size === undefined ? tokens : [...tokens, token({ start: end - size.length, end }, 'number')];
}

function patternTokens(text: string, { start }: Span): SemanticToken[] {
    return [...text.matchAll(/[*?]+|\[[^\]]*\]|[^*?[]+/g)].map(({ 0: part, index }) =>
        token({ start: start + index, end: start + index + part.length }, /^[*?[]/.test(part) ? 'operator' : 'variable'));
}

/** As the protocol has them: five numbers for each token, relative to the one before. */
export function encodeTokens(recipe: Recipe, tokens: readonly SemanticToken[]): number[] {
    const data: number[] = [];
    let [line, character] = [0, 0];
    for (const { start, end, type, modifiers } of tokens) {
        const at = positionOf(recipe.lines, start);
        data.push(at.line - line, at.line === line ? at.character - character : at.character, end - start, TOKEN_TYPES.indexOf(type), modifiers.reduce((bits, modifier) => bits | (1 << TOKEN_MODIFIERS.indexOf(modifier)), 0));
        ({ line, character } = at);
    }
    return data;
}
