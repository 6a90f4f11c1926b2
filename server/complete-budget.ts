import * as l10n from '@vscode/l10n';
import { bits } from '../protocol/decimals';
import { bytes } from './amounts';
import { modelHeader, type Facts } from './facts';
import { bitsAt, bytesAt, reachable } from './plan';
import type { Place, Recipe } from './recipe';

export interface NumberOffer {
    readonly text: string;
    readonly detail: string;
}

const USUAL_BITS = [2.5, 3, 3.5, 4, 4.25, 4.5, 5, 6, 8];
const UNITS = ['GB', 'MB', 'GiB', 'MiB'];

/** Limits of a budget that the candidates can reach for this checkpoint, each with what it comes to; and the units behind a number. */
export function budgetOffers(recipe: Recipe, place: Place, prefix: string, facts: Facts): NumberOffer[] {
    const key = place.path.join('.');
    if (key !== 'quantize.budget.size' && key !== 'quantize.budget.bits_per_weight') return [];
    const header = modelHeader(recipe, facts);
    const range = header && reachable(recipe, header);
    if (key === 'quantize.budget.bits_per_weight') {
        if (!range) return [];
        const fitting = USUAL_BITS.filter((value) => range.least.bitsPerWeight <= value && value <= range.most.bitsPerWeight);
        return fitting.map((value) => ({ text: String(value), detail: l10n.t('bits per weight, at most {0}', bytes(bytesAt(range, value))) }));
    }
    const [number] = /^\d+(?:\.\d+)?(?=\s*$)/.exec(prefix) ?? [];
    const units = number === undefined ? [] : UNITS.map((unit) => ({ text: `${number} ${unit}`, detail: unit.includes('i') ? l10n.t('binary unit') : l10n.t('decimal unit') }));
    if (!range) return units;
    const shares = [0, 0.25, 0.5, 0.75, 1].map((share) => range.least.bytes + share * (range.most.bytes - range.least.bytes));
    const sizes = [...new Map(shares.map((size) => [roundedUp(size), size])).keys()];
    return [...units, ...sizes.map((text) => ({ text, detail: l10n.t('at most {0} bits per weight', bits(bitsAt(range, sizeOf(text)))) }))];
}

/** Three digits, and never below what is needed. */
function roundedUp(size: number): string {
    const [unit, name] = size >= 1e9 ? [1e9, 'GB'] : size >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
    const step = 10 ** (Math.floor(Math.log10(size / unit)) - 2);
    return `${Number((Math.ceil(size / unit / step) * step).toPrecision(3))} ${name}`;
}

function sizeOf(text: string): number {
    const [number, name] = text.split(' ');
    return Number(number) * { GB: 1e9, MB: 1e6, kB: 1e3 }[name as 'GB' | 'MB' | 'kB'];
}
