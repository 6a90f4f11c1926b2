import type { CodeLens } from 'vscode-languageserver/node';
import { lensCommands } from '../protocol/language';
import type { Facts, Running } from './facts';
import { decibels, outcome, summarize } from './last-run';

/** On the first line: run, cancel, stop or resume, and the last result. */
export function codeLenses(uri: string, facts: Facts): CodeLens[] {
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
    const lens = (title: string, command: string): CodeLens => ({ range, command: { title, command, arguments: [uri] } });
    const { running } = facts;
    const run = lens('$(play) Run', lensCommands.run);
    const lenses = !running ? [run] : running.stage === 'resumable' ? [progressLens(running, lens), run] : [progressLens(running, lens)];
    if (facts.result) {
        const summary = summarize(facts.result.result.layers, outcome);
        const quality = summary ? ` (SQNR ${decibels(summary.mean)})` : '';
        lenses.push(lens(`$(graph) Show last result${quality}`, lensCommands.results));
    }
    return lenses;
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
