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
    return plan ? `Here: ${planText(plan, header)}.` : '';
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
        if (limit.key?.name === 'bits_per_weight' && typeof value === 'number') lines.push(`For this checkpoint at most **${bytes(bytesAt(range, value))}** of ${bytes(header.bytes)}.`);
        if (asked !== undefined) lines.push(`For this checkpoint at most **${bits(bitsAt(range, asked))} bits per weight**; it has ${bytes(header.bytes)} now.`);
    }
    if (range) lines.push(`The candidates reach from ${ends(range.least)} to ${ends(range.most)}.`);
    return lines.join('\n\n');
}

function ends({ bitsPerWeight, bytes: size }: Plan): string {
    return `${bits(bitsPerWeight)} bits (${bytes(size)})`;
}

function planText(plan: Plan, header: CheckpointHeader): string {
    return `**${bits(plan.bitsPerWeight)} bits** for each quantized weight, **${bytes(plan.bytes)}** in place of ${bytes(header.bytes)} (${percent(plan.bytes / header.bytes)})`;
}

/** Which SQNR costs how much is known once it was measured. */
function fromLastRun({ value }: Place, { result }: Facts): string[] {
    const front = result?.result.pareto;
    if (!result || !front || typeof value !== 'number') return [];
    const point = front.points.find(({ min_sqnr_db: worst }) => worst === null || worst >= value);
    const best = Math.max(...front.points.map(({ min_sqnr_db: worst }) => worst ?? Infinity));
    if (!point) return [`In run ${result.result.run} no point of the front kept ${value} dB; the best one kept ${decimals(best, 1)} dB.`];
    return [`In run ${result.result.run} the smallest point of the front that kept ${value} dB had ${bits(point.bits_per_weight)} bits per weight, ${bytes(point.bytes)}.`];
}
