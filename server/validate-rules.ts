import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { CheckpointHeader } from '../protocol/checkpoint';
import type { Decisions } from './decisions';
import { modelPlace } from './facts';
import { spanOf, type Finding, type WrongPlaces } from './finding';
import { matchingLayers, nearestPattern, patternPlaces, rulePlaces } from './layers';
import { childNamed, type Place, type Recipe, type Span } from './recipe';

/** Patterns that match no layer, and what never decides because all of its layers are named before it. */
export function ruleFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const rules = rulePlaces(recipe);
    const isRight = (place: Place): boolean => place.text !== '' && wrong.isRight(place);
    return [
        ...rules.flatMap(patternPlaces).filter(isRight).flatMap((place) => unmatched(recipe, header, place)),
        ...repeated(recipe, header, rules.map((rule) => patternPlaces(rule).filter(isRight))),
    ];
}

function unmatched(recipe: Recipe, header: CheckpointHeader, place: Place): Finding[] {
    if (matchingLayers(header, place.text).length > 0) return [];
    const near = nearestPattern(header, place.text);
    const model = path.basename(modelPlace(recipe)?.text ?? '');
    const message = near === undefined
        ? l10n.t('"{0}" matches no layer of {1}', place.text, model)
        : l10n.t('"{0}" matches no layer of {1}; did you mean "{2}"?', place.text, model, near);
    return [{ code: 'no-layer-matches', severity: 'warning', span: place.span, message, replacements: near === undefined ? [] : [near] }];
}

/** Rules, and patterns of a list, all of whose layers are named by what stands before them. `patterns`: of each rule, those that are right. */
function repeated(recipe: Recipe, header: CheckpointHeader, patterns: readonly (readonly Place[])[]): Finding[] {
    /** Layer → the pattern that names it first, and its rule. */
    const named = new Map<string, { readonly place: Place; readonly rule: number }>();
    return patterns.flatMap((places, rule): Finding[] => {
        const layersOf = places.map(({ text }) => matchingLayers(header, text).map(({ name }) => name));
        const all = layersOf.flat();
        if (all.length > 0 && all.every((name) => named.has(name))) return [shadowed(recipe, rule, all.map((name) => named.get(name)!.rule))];
        return places.flatMap((place, index): Finding[] => {
            const names = layersOf[index]!;
            const isRepeated = places.length > 1 && names.length > 0 && names.every((name) => named.has(name));
            const before = isRepeated ? [...new Set(names.map((name) => named.get(name)!.place))] : [];
            for (const name of names) if (!named.has(name)) named.set(name, { place, rule });
            return isRepeated ? [twice(place, before)] : [];
        });
    });
}

function twice(place: Place, before: readonly Place[]): Finding {
    const message = l10n.t('every layer that "{0}" matches is named before it', place.text);
    const related = before.map(({ span, text }) => ({ span, message: text }));
    return { code: 'layers-repeated', severity: 'warning', span: place.span, message, path: place.path, related, removable: place };
}

/** Default and rules that keep every layer, without a budget that could choose otherwise. */
export function nothingFindings(recipe: Recipe, decisions: Decisions): Finding[] {
    const section = childNamed(recipe.root, 'quantize');
    const budget = childNamed(section, 'budget');
    const deciders = [...decisions.layers.keys()];
    const place = decisions.placeOf('default');
    const isKept = deciders.length > 0 && deciders.every((decider) => decisions.useOf(decider) === null);
    if (!isKept || !section || !place || !decisions.isWhollyRight(section) || (budget && budget.kind !== 'nothing')) return [];
    const message = l10n.t('nothing would be quantized: the default and the rules keep every layer');
    return [{ code: 'nothing-to-quantize', severity: 'warning', span: spanOf(recipe, place), message }];
}

/** before: of each of its layers the rule that comes first. */
function shadowed(recipe: Recipe, index: number, before: readonly number[]): Finding {
    const layersOf = (rule: number): Span => spanOf(recipe, childNamed(rulePlaces(recipe)[rule], 'layers')!);
    const rules = [...new Set(before)].sort((a, b) => a - b);
    const numbers = rules.map((rule) => String(rule + 1));
    const last = numbers.pop()!;
    const message = numbers.length === 0
        ? l10n.t('rule {0} names every layer of this one before it', last)
        : l10n.t('rules {0} and {1} name every layer of this one before it', numbers.join(', '), last);
    const related = rules.map((rule) => ({ span: layersOf(rule), message: l10n.t('rule {0}', rule + 1) }));
    return { code: 'rule-shadowed', severity: 'warning', span: layersOf(index), message, related };
}
