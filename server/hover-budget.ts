import * as l10n from '@vscode/l10n';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { bits, decimals } from '../protocol/decimals';
import { bytes } from './amounts';
import type { Facts } from './facts';
import { percent } from './hover-layers';
import { bitsAt, bytesAt, plannedSize, reachable, type Plan } from './plan';
import { childNamed, type Place, type Recipe } from './recipe';
import { parseSize } from './validate-budget';

/** What the section makes of this checkpoint. */
export function aboutQuantize(recipe: Recipe, header: CheckpointHeader): string {
    const plan = plannedSize(recipe, header);
    return plan ? planText(plan, header) : '';
}

/** What a limit means for this checkpoint, and what the candidates can reach. place: the budget, or a key of it. */
export function aboutBudget(recipe: Recipe, place: Place, header: CheckpointHeader, facts: Facts): string {
    const range = reachable(recipe, header);
    const [limit] = place.key?.name === 'budget' ? ['bits_per_weight', 'size', 'min_sqnr'].flatMap((name) => childNamed(place, name) ?? []) : [place];
    const lines: string[] = [];
    if (limit?.key?.name === 'min_sqnr') lines.push(...fromLastRun(limit, facts));
    if (range && limit) {
        const { value, text } = limit;
        const asked = limit.key?.name === 'size' ? parseSize(text) : undefined;
        if (limit.key?.name === 'bits_per_weight' && typeof value === 'number') lines.push(l10n.t('For this checkpoint at most **{0}** of {1}.', bytes(bytesAt(range, value)), bytes(header.bytes)));
        if (asked !== undefined) lines.push(l10n.t('For this checkpoint at most **{0} bits per weight**; it has {1} now.', bits(bitsAt(range, asked)), bytes(header.bytes)));
    }
    if (range) lines.push(l10n.t('The candidates reach from {0} to {1}.', ends(range.least), ends(range.most)));
    return lines.join('\n\n');
}

function ends({ bitsPerWeight, bytes: size }: Plan): string {
    return l10n.t('{0} bits ({1})', bits(bitsPerWeight), bytes(size));
}

function planText(plan: Plan, header: CheckpointHeader): string {
    return l10n.t(
        'Here: **{0} bits** for each quantized weight, **{1}** in place of {2} ({3}).',
        bits(plan.bitsPerWeight), bytes(plan.bytes), bytes(header.bytes), percent(plan.bytes / header.bytes),
    );
}

/** Which SQNR costs how much is known once it was measured. */
function fromLastRun({ value }: Place, { result }: Facts): string[] {
    const front = result?.result.pareto;
    if (!result || !front || typeof value !== 'number') return [];
    const { run } = result.result;
    const point = front.points.find(({ min_sqnr_db: worst }) => worst === null || worst >= value);
    const best = Math.max(...front.points.map(({ min_sqnr_db: worst }) => worst ?? Infinity));
    if (!point) return [l10n.t('In run {0} no point of the front kept {1} dB; the best one kept {2} dB.', run, value, decimals(best, 1))];
    return [l10n.t('In run {0} the smallest point of the front that kept {1} dB had {2} bits per weight, {3}.', run, value, bits(point.bits_per_weight), bytes(point.bytes))];
}
