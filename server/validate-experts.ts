import * as l10n from '@vscode/l10n';
import { isExpert } from '../protocol/checkpoint';
import type { Decisions } from './decisions';
import { spanOf, type Finding, type WrongPlaces } from './finding';
import { placeAt, type Recipe } from './recipe';
import type { Use } from './uses';

/** Formats of experts that no loader could read together; what a budget chooses is not known yet. */
export function expertFindings(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): Finding[] {
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    if (budget && wrong.isRight(budget)) return [];
    const deciders = [...decisions.layers.keys()].sort((a, b) => Number(a === 'default') - Number(b === 'default') || Number(a) - Number(b));
    const layers = deciders.flatMap((decider) => (decisions.layers.get(decider) ?? []).map((layer) => ({ layer, use: decisions.useOf(decider) })));
    if (layers.some(({ use }) => use === undefined)) return [];
    const experts = layers.filter(({ layer }) => isExpert(layer)).map(({ layer: { name }, use }) => ({ name, use: use ?? null }));
    const place = placeAt(recipe.root, ['quantize', 'rules']) ?? decisions.placeOf('default');
    const message = contradiction(experts, layers.some(({ use }) => use));
    return message !== undefined && place && wrong.isRight(place) ? [{ code: 'experts-mixed', severity: 'error', span: spanOf(recipe, place), message }] : [];
}

function contradiction(experts: readonly { readonly name: string; readonly use: Use | null }[], isQuantized: boolean): string | undefined {
    const [first] = experts;
    if (!first) return undefined;
    const other = experts.find(({ use }) => weightsOf(use) !== weightsOf(first.use));
    if (other) return l10n.t('all experts of a model need one weight format, and {0} and {1} have different ones', first.name, other.name);
    const formats = experts.flatMap(({ use }) => use?.format ?? []);
    if (formats.some(({ inputs }) => inputs !== null)) return l10n.t('experts can have quantized weights only, not quantized inputs');
    if (formats.some(({ symmetric }) => !symmetric)) return l10n.t('experts cannot have zero points');
    return formats.length === 0 && isQuantized ? l10n.t('experts cannot stay as they are when other layers are quantized') : undefined;
}

/** The same text for the same format of weights: NVFP4A16 and NVFP4 differ in their inputs alone. */
function weightsOf(use: Use | null): string {
    return use ? `${use.scheme.replace(/^(NV|MX)FP4A16$/, '$1FP4')} ${String(use.groupSize)}` : '';
}
