import * as l10n from '@vscode/l10n';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { bits } from '../protocol/decimals';
import { bitsPerWeight } from '../protocol/formats';
import { modelHeader, type Facts } from './facts';
import type { NumberOffer } from './complete-budget';
import { mergedEntries } from './merge-keys';
import { decidedLayers } from './layers';
import { childNamed, type Place, type Recipe } from './recipe';
import type { JsonSchema, Slot } from './schema';
import { readUse } from './uses';

/** What a whole matrix shares does not count. */
const MANY_ROWS = 1 << 20;
/** Where no usual size fits, the largest of those that do. */
const MOST_UNUSUAL = 3;
const SIZE_STEP = 8;

/** Whether a way to quantize with this shape can have a group size of its own, by the scheme that is written or by any of the method's. */
export function hasGroupSize(recipe: Recipe, use: Place, shape: JsonSchema): boolean {
    const { schemes } = recipe.schema;
    const written = childNamed(use, 'scheme') ?? mergedEntries(use).get('scheme');
    const names = written && Object.hasOwn(schemes, written.text) ? [written.text] : (shape.properties?.scheme?.enum ?? []).map(String);
    return names.length === 0 || names.some((name) => schemes[name]?.regroupable !== false);
}

/** Group sizes that divide the inputs of the layers concerned, with the bits that they come to; `channel` last. */
export function sizeOffers(recipe: Recipe, place: Place, facts: Facts): NumberOffer[] {
    const { parent } = place;
    if (place.key?.name !== 'group_size' || !parent?.shape || !hasGroupSize(recipe, parent, parent.shape)) return [];
    const header = modelHeader(recipe, facts);
    const layers = header ? layersOf(recipe, header, parent) : [];
    const format = readUse(recipe, parent)?.format;
    const detail = (size: number | null): string => {
        const widest = layers.reduce<Linear | undefined>((best, layer) => (best && best.inputs >= layer.inputs ? best : layer), undefined);
        if (!format || (size === null && !widest)) return '';
        const total = size === null ? bitsPerWeight(format, null, widest!.outputs, widest!.inputs) : bitsPerWeight(format, size, MANY_ROWS, size);
        const text = l10n.t('{0} bits per weight', bits(total));
        return size === format.group_size ? l10n.t('default, {0}', text) : text;
    };
    return [...fitting(recipe, layers).map((size) => ({ text: String(size), detail: detail(size) })), { text: 'channel', detail: detail(null) }];
}

function fitting({ schema }: Recipe, layers: readonly Linear[]): number[] {
    const divides = (size: number): boolean => layers.every(({ inputs }) => inputs % size === 0);
    const usual = schema.groupSizes.filter(divides);
    const largest = schema.groupSizes.at(-1) ?? 0;
    const all = Array.from({ length: largest / SIZE_STEP }, (_, index) => SIZE_STEP * (index + 1));
    return usual.length > 0 ? usual : all.filter(divides).slice(-MOST_UNUSUAL);
}

/** The layers that the way to quantize is for: those of its rule or of the default, and of a candidate all that are in blocks. */
function layersOf(recipe: Recipe, header: CheckpointHeader, use: Place): readonly Linear[] {
    const [section, key, index] = use.path;
    if (section !== 'quantize') return header.linears.filter(({ block }) => block !== null);
    const decider = key === 'rules' && typeof index === 'number' ? index : 'default';
    return decidedLayers(recipe, header).get(decider) ?? [];
}

/** The slot of a key as it is with this checkpoint: no sequence is longer by default than the model can have it. */
export function slotHere(recipe: Recipe, name: string, slot: Slot, facts: Facts): Slot {
    const most = modelHeader(recipe, facts)?.maximumTokens;
    if (name !== 'sequence_length' || typeof slot.default !== 'number' || most === undefined || most === null || slot.default <= most) return slot;
    return { ...slot, default: most };
}
