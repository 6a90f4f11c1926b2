import { isDeepStrictEqual } from 'node:util';
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
    const start = [lens('$(play) Run', lensCommands.run), lens('$(pulse) Measure sensitivity', lensCommands.sensitivity), lens('$(dashboard) Estimate', lensCommands.estimate)];
    const lenses = !canRun ? [] : !running ? start : running.stage === 'resumable' ? [progressLens(running, lens), ...start] : [progressLens(running, lens)];
    if (facts.result) lenses.push(lens(`$(graph) Show last result${quality(facts.result, recipe)}`, lensCommands.results));
    return lenses;
}

function quality(last: LastResult, recipe: Recipe | undefined): string {
    const { result } = last;
    const summary = summarize(result.layers, outcome);
    const kl = result.scores?.kl?.value;
    const ran = recipe && ranRecipe(last, recipe.schema);
    const isOld = ran && !isDeepStrictEqual(plainValue(recipe.root), plainValue(ran.root));
    const parts = [
        ...(summary ? [`SQNR mean ${decimals(summary.mean, 1)}, min ${decibels(summary.smallest)}`] : []),
        ...(kl === undefined ? [] : [`KL ${decimals(kl, significantDecimals(kl))}`]),
        ...(isOld ? ['recipe changed since'] : []),
    ];
    return parts.length > 0 ? ` (${parts.join('; ')})` : '';
}

/**
 * A run that was asked to cancel cannot be asked again; the editor shows a lens without a command as text. So it does for one that is starting: a
 * second click on Run would otherwise hit Cancel.
 */
function progressLens({ label, stage }: Running, lens: (title: string, command: string) => CodeLens): CodeLens {
    switch (stage) {
        case 'starting': return lens('$(loading~spin) Starting…', '');
        case 'running': return lens('$(debug-stop) Cancel', lensCommands.cancel);
        case 'cancelling': return lens('$(loading~spin) Cancelling…', '');
        case 'resumable': return lens(`$(debug-continue) Resume (${label})`, lensCommands.resume);
        case 'stoppable': return lens('$(debug-stop) Cancelling… Stop Now', lensCommands.stop);
    }
}
