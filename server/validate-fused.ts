import * as l10n from '@vscode/l10n';
import type { Decisions } from './decisions';
import { spanOf, type Finding, type Related } from './finding';
import type { Decided } from './layers';
import type { Recipe } from './recipe';
import { fusedLayers, type Unit } from './units';
import type { Use } from './uses';

/** Layers that serving engines run as one, and that rules are certain to keep from having one scheme. */
export function fusedFindings(recipe: Recipe, decisions: Decisions): Finding[] {
    const rest = restSchemes(decisions);
    const torn = new Map<string, { readonly rule: number; readonly sets: Unit[] }>();
    for (const members of ruledSets(recipe, decisions)) {
        const rule = tearingRule(members, decisions, rest);
        if (rule === undefined) continue;
        const key = [rule, ...members.map(kindOf)].join(' ');
        const known = torn.get(key);
        if (known) known.sets.push(members);
        else torn.set(key, { rule, sets: [members] });
    }
    return [...torn.values()].flatMap(({ rule, sets }): Finding[] => {
        const place = decisions.placeOf(rule);
        return place ? [{ code: 'fused-layers', severity: 'warning', span: spanOf(recipe, place), message: sentence(sets), related: others(recipe, decisions, rule, sets) }] : [];
    });
}

/** Those of which a rule names one. */
function ruledSets(recipe: Recipe, decisions: Decisions): readonly Unit[] {
    let sets = known.get(decisions.layers);
    if (!sets) {
        sets = fusedLayers(decisions.header, recipe.schema.architectures).filter((members) => members.some((member) => decisions.ruleOf(member) !== undefined));
        known.set(decisions.layers, sets);
    }
    return sets;
}

/** What is decided is the same until a pattern changes. */
const known = new WeakMap<Decided, readonly Unit[]>();

/** The first rule about the members, when it is certain that they come out different. */
function tearingRule(members: Unit, decisions: Decisions, rest: readonly string[]): number | undefined {
    const rules = new Set(members.flatMap((member) => decisions.ruleOf(member) ?? []));
    const ruled = [...rules].map((rule) => decisions.useOf(rule));
    if (rules.size === 0 || ruled.includes(undefined)) return undefined;
    const schemes = new Set(ruled.map(storedAs));
    const hasRest = members.some((member) => decisions.ruleOf(member) === undefined);
    const certain = schemes.size > 1 || (hasRest && rest.length > 0 && !rest.some((scheme) => schemes.has(scheme)));
    return certain ? Math.min(...rules) : undefined;
}

/** What layers without a rule may become. Whether a budget happens to choose a rule's scheme is not known before the measurement. */
function restSchemes(decisions: Decisions): string[] {
    if (decisions.hasBudget) return decisions.candidates.map(storedAs);
    const use = decisions.useOf('default');
    return use === undefined ? [] : [storedAs(use)];
}

/** What has to be the same for layers that are served as one; the method that found the codes is not part of it. */
function storedAs(use: Use | null | undefined): string {
    return use ? `${use.scheme} ${String(use.groupSize)} ${use.ordersGroups}` : '';
}

/** Where else it is said what the layers become. */
function others(recipe: Recipe, decisions: Decisions, rule: number, sets: readonly Unit[]): Related[] {
    const deciders = new Set(sets.flat().map((member) => decisions.ruleOf(member) ?? 'default'));
    deciders.delete(rule);
    return [...deciders].flatMap((decider): Related[] => {
        const place = decisions.placeOf(decider);
        if (decider === 'default' && decisions.hasBudget) return [];
        return place ? [{ span: spanOf(recipe, place), message: decider === 'default' ? l10n.t('the default') : l10n.t('rule {0}', decider + 1) }] : [];
    });
}

function kindOf({ name }: Unit[number]): string {
    return name.slice(name.lastIndexOf('.') + 1);
}

function sentence(sets: readonly Unit[]): string {
    const [first = []] = sets;
    const kinds = first.map(kindOf);
    const names = l10n.t('{0} and {1}', kinds.slice(0, -1).join(', '), kinds.at(-1) ?? '');
    const block = String(first[0]?.block);
    return sets.length > 1
        ? l10n.t('{0} of block {1} (and {2} more) get different schemes; vLLM and SGLang need one for all of them', names, block, sets.length - 1)
        : l10n.t('{0} of block {1} get different schemes; vLLM and SGLang need one for all of them', names, block);
}
