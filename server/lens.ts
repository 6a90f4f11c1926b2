import type { CodeLens } from 'vscode-languageserver/node';
import { lensCommands, type RunningParams } from '../protocol/language';
import type { Facts } from './facts';
import { decibels, outcome, summarize } from './last-run';

/** A run in progress: its directory, how far it is, for example `layer 12/40`, and what can be done about it. */
export type Running = RunningParams['recipes'][string];

/** On the first line: run, cancel or stop, and the last result. */
export function codeLenses(uri: string, facts: Facts, running: Running | undefined): CodeLens[] {
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
    const lens = (title: string, command: string): CodeLens => ({ range, command: { title, command, arguments: [uri] } });
    const lenses = [running ? progressLens(running, lens) : lens('$(play) Run', lensCommands.run)];
    if (facts.result) {
        const summary = summarize(facts.result.result.layers, outcome);
        const quality = summary ? ` (SQNR ${decibels(summary.mean)})` : '';
        lenses.push(lens(`$(graph) Show last result${quality}`, lensCommands.results));
    }
    return lenses;
}

/** A run that was asked to cancel cannot be asked again; the editor shows a lens without a command as text. */
function progressLens({ label, stage }: Running, lens: (title: string, command: string) => CodeLens): CodeLens {
    switch (stage) {
        case 'running': return lens(`$(debug-stop) Cancel (${label})`, lensCommands.cancel);
        case 'cancelling': return lens('$(loading~spin) Cancelling…', '');
        case 'stoppable': return lens('$(debug-stop) Cancelling… Stop Now', lensCommands.stop);
    }
}
