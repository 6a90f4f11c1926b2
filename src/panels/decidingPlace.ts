import { isMap, isNode, isSeq, parseDocument } from 'yaml';
import type { LayerResult } from '../../protocol/generated/result';

/** Offsets in a recipe's text of what decided about a layer: its rule, the budget or the default. */
export function decidingPlace(recipe: string, rule: LayerResult['rule']): { readonly start: number; readonly end: number } | undefined {
    const quantize = parseDocument(recipe).get('quantize', true);
    if (!isMap(quantize)) return undefined;
    let node: unknown;
    if (typeof rule === 'number') {
        const rules = quantize.get('rules', true);
        node = isSeq(rules) ? rules.items[rule] : undefined;
    } else if (rule !== null) {
        node = quantize.get(rule, true);
    }
    if (!isNode(node) || !node.range) return undefined;
    return { start: node.range[0], end: node.range[1] };
}
