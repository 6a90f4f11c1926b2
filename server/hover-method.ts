import * as l10n from '@vscode/l10n';
import { bits } from '../protocol/decimals';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { bitsPerWeight, type WeightFormat } from '../protocol/formats';
import { hasGroupSize } from './complete-sizes';
import type { Place, Recipe } from './recipe';
import { listedValues, type JsonSchema } from './schema';
import { plainDefault } from './snippet';
import { readUse, type Use } from './uses';

/** A method: what it does, the paper it is from, its arguments. Without arguments: where the short form names it. scheme: what is said of the scheme beside it. */
export function aboutMethod(recipe: Recipe, place: Place, name: string, withArguments: boolean, scheme = ''): string {
    const variant = place.slot?.alternatives.find(({ schema }) => schema.properties?.method?.const === name)?.schema ?? place.parent?.shape;
    const facts = recipe.schema.methods[name];
    const described = variant?.properties?.method?.description ?? variant?.description ?? '';
    const text = described.startsWith('**') ? described : `**${facts?.title ?? name}**. ${described}`;
    const paper = facts?.paper ? l10n.t('Paper: {0}', `[${facts.paper.title}](${facts.paper.url})`) : '';
    const own = Object.entries(variant?.properties ?? {}).filter(([key]) => {
        return key !== 'method' && key !== 'scheme' && (key !== 'group_size' || hasGroupSize(recipe, place.key?.name === 'method' && place.parent ? place.parent : place, variant!));
    });
    const list = own.map(([key]) => `\`${key}\``).join(', ');
    const args = withArguments ? own.map(([key, schema]) => argumentLine(recipe, key, schema)).join('\n') : list && l10n.t('Arguments of the long form: {0}.', list);
    return [text, calibrationSentence(recipe, place, name, variant), scheme, paper, args].filter(Boolean).join('\n\n');
}

/** Whether the method, or the scheme that is written with it, needs calibration data. What rounds for another method needs what that one needs. */
function calibrationSentence(recipe: Recipe, place: Place, name: string, variant: JsonSchema | undefined): string {
    const facts = recipe.schema.methods[name];
    const all = (variant?.properties?.scheme?.enum ?? []).map(String);
    if (all.length === 0 || !facts || facts.needs_calibration) return '';
    const written = readUse(recipe, place.kind === 'text' && place.key?.name === 'method' ? place.parent : place)?.scheme;
    const calibrated = (written === undefined ? all : [written]).filter((scheme) => recipe.schema.schemes[scheme]?.calibrated_inputs);
    const names = calibrated.map((scheme) => `\`${scheme}\``).join(', ');
    if (calibrated.length === 0) return l10n.t('Needs no calibration data.');
    return written === undefined ? l10n.t('Needs no calibration data, except for {0}.', names) : l10n.t('{0} needs calibration data, for the scale of its inputs.', names);
}

/** The scheme of a way to quantize, with the group size that it has there. */
export function aboutScheme(recipe: Recipe, place: Place | undefined, header: CheckpointHeader | undefined): string {
    const use = readUse(recipe, place);
    if (!use || !place) return '';
    const shapes = place.shape ? [place.shape] : (place.slot?.alternatives ?? []).map(({ schema }) => schema);
    const shape = shapes.find(({ properties }) => properties?.method?.const === use.method);
    const text = shape?.properties?.scheme?.enumDescriptions?.[use.scheme] ?? '';
    return [text && `\`${use.scheme}\` — ${regrouped(text, use)}`, sizeSentence(recipe, place, header)].filter(Boolean).join('\n\n');
}

/** What is said of a scheme, of other groups than its own. */
export function regrouped(description: string, { format, groupSize }: Pick<Use, 'format' | 'groupSize'>): string {
    if (!format?.regroupable || format.group_size === null || groupSize === undefined || groupSize === format.group_size) return description;
    const shared = groupSize === null ? l10n.t('each output row') : l10n.t('each {0} inputs', groupSize);
    return description.replace(l10n.t('each {0} inputs', format.group_size), shared);
}

function argumentLine(recipe: Recipe, key: string, schema: JsonSchema): string {
    const slot = recipe.schema.slot(schema);
    const values = slot.alternatives.flatMap((alternative) => (alternative.kind === 'text' && alternative.schema.enum ? listedValues(alternative).map(({ value }) => `\`${String(value)}\``) : []));
    const usual = plainDefault(slot.default);
    const said = values.length > 0 ? values.join(', ') : firstSentence(slot.description);
    return `- \`${key}\` — ${said}${usual === '' ? '' : ` (${l10n.t('default: {0}', usual)})`}`;
}

/** What comes after it is said where the argument itself is pointed at. */
function firstSentence(text: string): string {
    return /^.*?(?=[.;] |。|[.;]?$)/.exec(text)?.[0] ?? text;
}

/** What a whole matrix shares does not count. */
const MANY_ROWS = 1 << 20;

/** Stored bits for each weight, and what of them are scales and zero points. */
export function sizeSentence(recipe: Recipe, place: Place | undefined, header: CheckpointHeader | undefined): string {
    const use = readUse(recipe, place);
    if (!use?.format || use.groupSize === undefined) return '';
    const { format } = use;
    // A size beside a scheme that has its own is an error, and decides nothing.
    const groupSize = format.regroupable ? use.groupSize : format.group_size;
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
