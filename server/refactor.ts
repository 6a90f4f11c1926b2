import * as l10n from '@vscode/l10n';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { Decisions } from './decisions';
import { columnOf, lineEnd } from './entries';
import type { Edit } from './edited';
import { modelHeader, type Facts } from './facts';
import { WrongPlaces, type Finding } from './finding';
import { countOfLayers, patternPlaces, rulePlaces } from './layers';
import { insertedRules, layersText, matchesExactly, openName, patternsOf } from './rule-edits';
import { childNamed, type Place, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';
import { dividing, readUse } from './uses';

export interface Change {
    readonly title: string;
    readonly edits: readonly Edit[];
    /** Whether it may not be what somebody wants: it is never preferred. */
    readonly isJudgement?: boolean;
}

/** Keeps the layers as they are whose input width a group size does not divide. */
export function exclusion(recipe: Recipe, finding: Finding, facts: Facts): Change[] {
    const header = modelHeader(recipe, facts);
    const { path } = finding;
    if (finding.code !== 'group-size' || !header || path?.[0] !== 'quantize') return [];
    const sound = soundPart(recipe).recipe;
    const decisions = new Decisions(sound, header, new WrongPlaces([]));
    const decider = path[1] === 'default' ? 'default' : path[1] === 'rules' && typeof path[2] === 'number' ? path[2] : undefined;
    const use = decider === undefined ? undefined : readUse(sound, decisions.placeOf(decider));
    const size = use && dividing(use);
    const decided = decider === undefined ? [] : (decisions.layers.get(decider) ?? []);
    const unfit = decided.filter(({ inputs }) => size && inputs % size !== 0);
    if (decider === undefined || unfit.length === 0 || unfit.length === decided.length) return [];
    const layers = patternsOf(unfit, header.linears.filter((layer) => decided.includes(layer)));
    // A rule of its own goes before the one that has these layers now.
    const edit = insertedRules(sound, decider === 'default' ? Infinity : decider, [{ layers, use: 'none' }]);
    const named = layers.length === 1 ? `"${layers[0]}"` : countOfLayers(unfit.length);
    return edit ? [{ title: l10n.t('Exclude {0} from quantization', named), edits: [edit] }] : [];
}

/** One rule for each kind of layer that the rule under the cursor decides about. */
export function splitRule(recipe: Recipe, span: Span, facts: Facts): Change[] {
    const sound = soundPart(recipe).recipe;
    const header = modelHeader(sound, facts);
    const index = rulePlaces(sound).findIndex((place) => (place.dash?.start ?? place.span.start) <= span.end && span.start <= place.span.end);
    const rule = rulePlaces(sound)[index];
    const written = rule && childNamed(rule, 'layers');
    if (!header || !rule || !written || rule.kind !== 'mapping') return [];
    const decided = new Decisions(sound, header, new WrongPlaces([])).layers.get(index) ?? [];
    const kinds = new Map<string, Linear[]>();
    for (const layer of decided) kinds.set(kindOf(layer.name), [...(kinds.get(kindOf(layer.name)) ?? []), layer]);
    if (kinds.size < 2) return [];
    const patterns = patternPlaces(rule).map(({ text }) => text);
    const { text } = sound;
    const start = rule.span.start;
    const separator = rule.parent?.flow ? ', ' : `${lineEnd(text)}${' '.repeat(columnOf(text, rule.dash?.start ?? start))}- `;
    const rules = [...kinds].map(([kind, layers]) => {
        const value = layersText(patternsFor(header, kind, layers, patterns));
        return text.slice(start, written.span.start) + value + text.slice(written.span.end, rule.span.end);
    });
    return [{ title: l10n.t('Split into {0} rules, one for each kind of layer', kinds.size), edits: [{ start, end: rule.span.end, text: rules.join(separator) }] }];
}

/** What follows the last number, or the whole name. */
function kindOf(name: string): string {
    const parts = name.split('.');
    return parts.slice(parts.findLastIndex((part) => /^\d+$/.test(part)) + 1).join('.');
}

/** Patterns that match these layers of a kind and no others; with what the rule said of the numbers, if possible. */
function patternsFor(header: CheckpointHeader, kind: string, layers: readonly Linear[], written: readonly string[]): string[] {
    const narrowed = written.flatMap((pattern) => (pattern.endsWith('*') ? [pattern.replace(/[^.]*\*$/, '') + kind, ...tails(kind).map((tail) => pattern.replace(/[^.]*\*$/, '') + tail)] : []));
    const [first] = layers;
    const fitting = [`*.${kind}`, ...narrowed, openName(first!.name)].find((pattern) => matchesExactly(header, pattern, layers));
    return fitting === undefined ? layers.map(({ name }) => name) : [fitting];
}

function tails(kind: string): string[] {
    const parts = kind.split('.');
    return parts.map((_, index) => parts.slice(index).join('.'));
}

/** The rule that a finding is about. */
export function ruleAt(recipe: Recipe, { span }: Finding): Place | undefined {
    return rulePlaces(recipe).find((rule) => (rule.dash?.start ?? rule.span.start) <= span.start && span.end <= rule.span.end);
}
