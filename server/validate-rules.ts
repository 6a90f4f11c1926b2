import * as path from 'node:path';
import type { CheckpointHeader } from '../protocol/checkpoint';
import type { Decisions } from './decisions';
import { modelPlace } from './facts';
import { spanOf, type Finding, type WrongPlaces } from './finding';
import { matchingLayers, nearestPattern, patternPlaces, rulePlaces } from './layers';
import { childNamed, type Place, type Recipe } from './recipe';

/** Patterns that match no layer, and rules that never decide because rules before them name all of their layers. */
export function ruleFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const rules = rulePlaces(recipe);
    const isRight = (place: Place): boolean => place.text !== '' && wrong.isRight(place);
    return [
        ...rules.flatMap(patternPlaces).filter(isRight).flatMap((place) => unmatched(recipe, header, place)),
        ...shadowed(recipe, header, rules.map((rule) => patternPlaces(rule).filter(isRight))),
    ];
}

function unmatched(recipe: Recipe, header: CheckpointHeader, place: Place): Finding[] {
    if (matchingLayers(header, place.text).length > 0) return [];
    const near = nearestPattern(header, place.text);
    const model = path.basename(modelPlace(recipe)?.text ?? '');
    const message = `"${place.text}" matches no layer of ${model}` + (near === undefined ? '' : `; did you mean "${near}"?`);
    return [{ code: 'no-layer-matches', severity: 'warning', span: place.span, message, replacements: near === undefined ? [] : [near] }];
}

/** patterns: of each rule, those that are right. */
function shadowed(recipe: Recipe, header: CheckpointHeader, patterns: readonly (readonly Place[])[]): Finding[] {
    const deciders = new Map<string, number>();
    return patterns.flatMap((places, index): Finding[] => {
        const names = places.flatMap(({ text }) => matchingLayers(header, text).map(({ name }) => name));
        const isUseful = names.some((name) => !deciders.has(name));
        const before = new Set(names.map((name) => deciders.get(name) ?? index));
        for (const name of names) if (!deciders.has(name)) deciders.set(name, index);
        return isUseful || names.length === 0 ? [] : [finding(recipe, index, [...before].sort((a, b) => a - b))];
    });
}

/** Default and rules that keep every layer, without a budget that could choose otherwise. */
export function nothingFindings(recipe: Recipe, decisions: Decisions): Finding[] {
    const section = childNamed(recipe.root, 'quantize');
    const budget = childNamed(section, 'budget');
    const deciders = [...decisions.layers.keys()];
    const place = decisions.placeOf('default');
    const isKept = deciders.length > 0 && deciders.every((decider) => decisions.useOf(decider) === null);
    if (!isKept || !section || !place || !decisions.isWhollyRight(section) || (budget && budget.kind !== 'nothing')) return [];
    const message = 'nothing would be quantized: the default and the rules keep every layer';
    return [{ code: 'nothing-to-quantize', severity: 'warning', span: spanOf(recipe, place), message }];
}

function finding(recipe: Recipe, index: number, before: readonly number[]): Finding {
    const [rule, first] = [rulePlaces(recipe)[index], rulePlaces(recipe)[before[0]!]].map((place) => childNamed(place, 'layers')!);
    const numbers = before.map((one) => String(one + 1));
    const last = numbers.pop()!;
    const subject = numbers.length === 0 ? `rule ${last} names` : `rules ${numbers.join(', ')} and ${last} name`;
    const message = `${subject} every layer of this one before it`;
    return { code: 'rule-shadowed', severity: 'warning', span: spanOf(recipe, rule!), message, related: { span: spanOf(recipe, first!), message: `rule ${before[0]! + 1}` } };
}
