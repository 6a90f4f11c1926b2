import { isDeepStrictEqual } from 'node:util';
import { isMap, isNode, isSeq, parseDocument, type YAMLMap } from 'yaml';
import type { LayerResult } from '../../protocol/generated/result';

/**
 * Offsets in a recipe's present text of what decided about a layer: its rule, the budget or the default. `ran` is the text of the recipe
 * that ran: rules may have been moved since, and one that says something else now is nowhere.
 */
export function decidingPlace(recipe: string, ran: string, rule: LayerResult['rule']): { readonly start: number; readonly end: number } | undefined {
    const quantize = quantizeOf(recipe);
    if (rule === null || !quantize) return undefined;
    let node: unknown;
    if (typeof rule === 'number') {
        const wanted = rulesOf(quantizeOf(ran))[rule];
        const same = rulesOf(quantize).filter((item) => isNode(wanted) && isNode(item) && isDeepStrictEqual(item.toJSON(), wanted.toJSON()));
        node = same.includes(rulesOf(quantize)[rule]) ? rulesOf(quantize)[rule] : same[0];
    } else {
        node = quantize.get(rule, true);
    }
    if (!isNode(node) || !node.range) return undefined;
    return { start: node.range[0], end: node.range[1] };
}

function quantizeOf(recipe: string): YAMLMap | undefined {
    const quantize = parseDocument(recipe).get('quantize', true);
    return isMap(quantize) ? quantize : undefined;
}

function rulesOf(quantize: YAMLMap | undefined): readonly unknown[] {
    const rules = quantize?.get('rules', true);
    return isSeq(rules) ? rules.items : [];
}
