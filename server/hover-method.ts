import * as l10n from '@vscode/l10n';
import { bits } from '../protocol/decimals';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { bitsPerWeight, type WeightFormat } from '../protocol/formats';
import type { Place, Recipe } from './recipe';
import { listedValues, type JsonSchema } from './schema';
import { readUse, type Use } from './uses';

/** A method: what it does, the paper it is from, its arguments. Without arguments: where the short form names it. */
export function aboutMethod(recipe: Recipe, place: Place, name: string, withArguments: boolean): string {
    const variant = place.slot?.alternatives.find(({ schema }) => schema.properties?.method?.const === name)?.schema ?? place.parent?.shape;
    const facts = recipe.schema.methods[name];
    const described = variant?.properties?.method?.description ?? variant?.description ?? '';
    const text = described.startsWith('**') ? described : `**${facts?.title ?? name}**. ${described}`;
    const paper = facts?.paper ? l10n.t('Paper: {0}', `[${facts.paper.title}](${facts.paper.url})`) : '';
    const own = Object.entries(variant?.properties ?? {}).filter(([key]) => key !== 'method' && key !== 'scheme');
    const list = own.map(([key]) => `\`${key}\``).join(', ');
    const args = withArguments ? own.map(([key, schema]) => argumentLine(recipe, key, schema)).join('\n') : list && l10n.t('Arguments of the long form: {0}.', list);
    // What rounds for another method needs what that one needs.
    const isWhole = variant?.properties?.scheme !== undefined;
    const calibration = isWhole && facts && !facts.needs_calibration ? l10n.t('Needs no calibration data.') : '';
    return [text, calibration, paper, args].filter(Boolean).join('\n\n');
}

function argumentLine(recipe: Recipe, key: string, schema: JsonSchema): string {
    const slot = recipe.schema.slot(schema);
    const values = slot.alternatives.flatMap((alternative) => (schema.enum || alternative.schema.enum ? listedValues(alternative).map(({ value }) => `\`${String(value)}\``) : []));
    const default_ = slot.default === undefined || slot.default === null || slot.saysDefault ? '' : ` ${l10n.t('Default: {0}.', `\`${JSON.stringify(slot.default)}\``)}`;
    const choice = values.length > 0 && values.length <= 6 ? ` (${values.join(', ')})` : '';
    return `- \`${key}\`${choice} — ${slot.description}${default_}`;
}

/** What a whole matrix shares does not count. */
const MANY_ROWS = 1 << 20;

/** Stored bits for each weight, and what of them are scales and zero points. */
export function sizeSentence(recipe: Recipe, place: Place | undefined, header: CheckpointHeader | undefined): string {
    const use = readUse(recipe, place);
    if (!use?.format || use.groupSize === undefined) return '';
    const { format, groupSize } = use;
    const grouping = groupingOf(format, groupSize);
    if (groupSize !== null) return sentence(use, bitsPerWeight(format, groupSize, MANY_ROWS, groupSize), grouping);
    const largest = (header?.linears ?? []).reduce((most, linear) => Math.max(most, linear.inputs), 0);
    const layer = header?.linears.find(({ inputs }) => inputs === largest);
    return sentence(use, layer ? bitsPerWeight(format, null, layer.outputs, layer.inputs) : format.num_bits, grouping);
}

function sentence({ format }: Use, total: number, grouping: string): string {
    const more = total - format!.num_bits;
    if (bits(more) === '0') return l10n.t('{0} bits for each weight, {1}.', bits(total), grouping);
    const isSymmetric = format!.symmetric && !format!.is_gptq;
    return isSymmetric
        ? l10n.t('{0} bits for each weight, {1}: {2} and {3} for scales.', bits(total), grouping, format!.num_bits, bits(more))
        : l10n.t('{0} bits for each weight, {1}: {2} and {3} for scales and zero points.', bits(total), grouping, format!.num_bits, bits(more));
}

function groupingOf(format: WeightFormat, groupSize: number | null): string {
    if (format.per_tensor) return l10n.t('one scale for the whole matrix');
    if (format.block) return l10n.t('one scale for each block of {0}', format.block.join(' × '));
    return groupSize === null ? l10n.t('one scale for each output row') : l10n.t('in groups of {0}', groupSize);
}
