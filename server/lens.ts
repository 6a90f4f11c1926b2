import type { CodeLens } from 'vscode-languageserver/node';
import { lensCommands } from '../protocol/language';
import type { Facts } from './facts';
import { decibels, outcome, summarize } from './last-run';

/** A run in progress: its directory and how far it is, for example `layer 12/40`. */
export interface Running {
    readonly run: string;
    readonly label: string;
}

/** On the first line: run or cancel, and the last result. */
export function codeLenses(uri: string, facts: Facts, running: Running | undefined): CodeLens[] {
    const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
    const lens = (title: string, command: string): CodeLens => ({ range, command: { title, command, arguments: [uri] } });
    const lenses = [running ? lens(`$(debug-stop) Cancel (${running.label})`, lensCommands.cancel) : lens('$(play) Run', lensCommands.run)];
    if (facts.result) {
        const summary = summarize(facts.result.result.layers, outcome);
        const quality = summary ? ` (SQNR ${decibels(summary.mean)})` : '';
        lenses.push(lens(`$(graph) Show last result${quality}`, lensCommands.results));
    }
    return lenses;
}
