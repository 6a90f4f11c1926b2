import * as path from 'node:path';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { amount } from './amounts';
import { summarize, type LastRun } from './last-run';
import { countOfLayers, matchingLayers } from './layers';

const MOST_LISTED = 6;
const MOST_ROWS = 8;

/** What a pattern matches, its share of the model, and how well the last run's candidates did on it. */
export function aboutPattern(pattern: string, header: CheckpointHeader, run: LastRun | undefined): string {
    const layers = matchingLayers(header, pattern);
    if (layers.length === 0) return `Matches no layer of ${path.basename(header.folder)}.`;
    const list = layers.slice(0, MOST_LISTED).map(({ name, outputs, inputs }) => `- \`${name}\` ${outputs} × ${inputs}`);
    const more = layers.length > list.length ? [`- and ${layers.length - list.length} more`] : [];
    const weights = parameters(layers);
    const share = header.parameters > 0 ? `, ${percent(weights / header.parameters)} of the model` : '';
    const measured = run ? measurements(run, layers) : [];
    return [`Matches **${countOfLayers(layers.length)}** with ${amount(weights)} weights${share}:`, '', ...list, ...more, ...measured].join('\n');
}

function measurements(run: LastRun, layers: readonly Linear[]): string[] {
    const names = new Set(layers.map(({ name }) => name));
    const measured = run.layers.filter(({ name }) => names.has(name));
    const rows = run.candidates.flatMap((label) => {
        const summary = summarize(measured, ({ candidates }) => candidates[label]);
        if (!summary) return [];
        const worst = summary.count === 1 ? '' : `\`${summary.worstLayer}\``;
        return [`| \`${label}\` | ${decimals(summary.mean, 1)} | ${decimals(summary.smallest, 1)} | ${worst} |`];
    });
    if (rows.length === 0) return [];
    const stale = run.otherData ? ', with other calibration data' : '';
    const rest = rows.length > MOST_ROWS ? ['', `and ${rows.length - MOST_ROWS} more candidates`] : [];
    return ['', `SQNR in dB, run ${run.name}${stale}:`, '', '| candidate | mean | lowest | of |', '| --- | ---: | ---: | --- |', ...rows.slice(0, MOST_ROWS), ...rest];
}

function parameters(layers: readonly Linear[]): number {
    return layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}

export function percent(share: number): string {
    return `${Number((100 * share).toPrecision(2))} %`;
}
