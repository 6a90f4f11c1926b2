import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { decimals } from '../protocol/decimals';
import { layerPattern } from '../protocol/pattern';
import { amount } from './amounts';
import { summarize, type LastRun } from './last-run';
import { countOfLayers, matchingLayers } from './layers';

const MOST_LISTED = 6;
/** Beside a table, which is what a person wants to see without scrolling. */
const FEW_LISTED = 3;
const MOST_ROWS = 8;

/** What a pattern matches, its share of the model, and how well the last run's candidates did on it. */
export function aboutPattern(pattern: string, header: CheckpointHeader, run: LastRun | undefined): string {
    const layers = matchingLayers(header, pattern);
    const tied = header.tiedHead !== null && layerPattern(pattern)(header.tiedHead) ? ['', tiedSentence(header.tiedHead)] : [];
    if (layers.length === 0) return [l10n.t('Matches no layer of {0}.', path.basename(header.folder)), ...tied].join('\n');
    const weights = parameters(layers);
    const share = header.parameters > 0 ? percent(weights / header.parameters) : undefined;
    const first = share === undefined
        ? l10n.t('Matches **{0}** with {1} weights:', countOfLayers(layers.length), amount(weights))
        : l10n.t('Matches **{0}** with {1} weights, {2} of the model:', countOfLayers(layers.length), amount(weights), share);
    const measured = run ? measurements(run, layers) : [];
    return [first, '', ...layerList(layers, ({ name, outputs, inputs }) => `\`${name}\` ${outputs} × ${inputs}`, measured.length > 0 ? FEW_LISTED : MOST_LISTED), ...tied, ...measured].join('\n');
}

/** The first layers as a list, and how many more there are. */
export function layerList(layers: readonly Linear[], text: (layer: Linear) => string, most = MOST_LISTED): string[] {
    const list = layers.slice(0, most).map((layer) => `- ${text(layer)}`);
    return layers.length > list.length ? [...list, `- ${l10n.t('and {0} more', layers.length - list.length)}`] : list;
}

/** About a head that is stored as the embedding. */
export function tiedSentence(head: string): string {
    return l10n.t('{0} shares the weight of the embedding (tie_word_embeddings), so it stays as it is.', `\`${head}\``);
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
    const title = run.otherData ? l10n.t('SQNR in dB, run {0}, with other calibration data:', run.name) : l10n.t('SQNR in dB, run {0}:', run.name);
    const rest = rows.length > MOST_ROWS ? ['', l10n.t('and {0} more candidates', rows.length - MOST_ROWS)] : [];
    return ['', title, '', `| ${[l10n.t('candidate'), l10n.t('mean'), l10n.t('lowest'), l10n.t('lowest in')].join(' | ')} |`, '| :--- | ---: | ---: | :--- |', ...rows.slice(0, MOST_ROWS), ...rest];
}

function parameters(layers: readonly Linear[]): number {
    return layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}

export function percent(share: number): string {
    return `${Number((100 * share).toPrecision(2))} %`;
}
