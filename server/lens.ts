import { isDeepStrictEqual } from 'node:util';
import * as l10n from '@vscode/l10n';
import type { CodeLens } from 'vscode-languageserver/node';
import { decimals, significantDecimals } from '../protocol/decimals';
import { lensCommands } from '../protocol/language';
import type { Facts, LastResult, Running } from './facts';
import { decibels, outcome, ranRecipe, summarize } from './last-run';
import { plainValue, type Recipe } from './recipe';

/**
 * On the first line: run, measure and estimate, or cancel, stop or resume, and the last result. Nothing runs that is not saved on this machine, nor where
 * nothing may be started (`canRun`).
 */
export function codeLenses(uri: string, facts: Facts, recipe?: Recipe, canRun = true): CodeLens[] {
    if (!uri.startsWith('file:')) return [];
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
    const lens = (title: string, command: string): CodeLens => ({ range, command: { title, command, arguments: [uri] } });
    const { running } = facts;
    const start = [lens(`$(play) ${l10n.t('Run')}`, lensCommands.run), lens(`$(pulse) ${l10n.t('Measure sensitivity')}`, lensCommands.sensitivity), lens(`$(dashboard) ${l10n.t('Estimate')}`, lensCommands.estimate)];
    const lenses = !canRun ? [] : !running ? start : running.stage === 'resumable' ? [progressLens(running, lens), ...start] : [progressLens(running, lens)];
    if (facts.result) lenses.push(lens(`$(graph) ${l10n.t('Show last result')}${quality(facts.result, recipe)}`, lensCommands.results));
    return lenses;
}

function quality(last: LastResult, recipe: Recipe | undefined): string {
    const { result } = last;
    const summary = summarize(result.layers, outcome);
    const kl = result.scores?.kl?.value;
    const ran = recipe && ranRecipe(last, recipe.schema);
    const isOld = ran && !isDeepStrictEqual(plainValue(recipe.root), plainValue(ran.root));
    const parts = [
        ...(summary ? [l10n.t('SQNR mean {0}, min {1}', decimals(summary.mean, 1), decibels(summary.smallest))] : []),
        ...(kl === undefined ? [] : [l10n.t('KL {0}', decimals(kl, significantDecimals(kl)))]),
        ...(isOld ? [l10n.t('recipe changed since')] : []),
    ];
    return parts.length > 0 ? ` (${parts.join('; ')})` : '';
}

/**
 * A run that was asked to cancel cannot be asked again; the editor shows a lens without a command as text. So it does for one that is starting: a
 * second click on Run would otherwise hit Cancel.
 */
function progressLens({ label, stage }: Running, lens: (title: string, command: string) => CodeLens): CodeLens {
    switch (stage) {
        case 'starting': return lens(`$(loading~spin) ${l10n.t('Starting…')}`, '');
        case 'running': return lens(`$(debug-stop) ${l10n.t('Cancel')}`, lensCommands.cancel);
        case 'cancelling': return lens(`$(loading~spin) ${l10n.t('Cancelling…')}`, '');
        case 'resumable': return lens(`$(debug-continue) ${l10n.t('Resume ({0})', label)}`, lensCommands.resume);
        case 'stoppable': return lens(`$(debug-stop) ${l10n.t('Cancelling… Stop Now')}`, lensCommands.stop);
    }
}
