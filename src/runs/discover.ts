import { readdir } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { RUN_FILES } from '../../protocol/runs';
import { Debouncer, type Clock } from '../base/clock';
import { NEVER_CHECKPOINTS } from '../checkpoints/recognise';
import { runsFolder } from './naming';
import type { RunStore } from './store';
import { isActive } from './state';

const RECORDS = `**/runs/*/${RUN_FILES.record}`;
const QUIET = 300;

/** All run directories: those in the workspace, and those beside recipes that are open from elsewhere. */
export async function discoverRuns(): Promise<string[]> {
    const inWorkspace = await vscode.workspace.findFiles(RECORDS, NEVER_CHECKPOINTS);
    const open = vscode.workspace.textDocuments.filter(({ languageId, uri }) => languageId === 'quant-recipe' && uri.scheme === 'file');
    const beside = await Promise.all(open.map(({ uri }) => subfolders(runsFolder(uri.fsPath))));
    return [...new Set([...inWorkspace.filter(({ scheme }) => scheme === 'file').map(({ fsPath }) => path.dirname(fsPath)), ...beside.flat()])];
}

async function subfolders(folder: string): Promise<string[]> {
    try {
        const entries = await readdir(folder, { withFileTypes: true });
        return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
    } catch {
        return []; // No run yet.
    }
}

/** Hears of runs that were started, changed or removed by somebody else; active ones are polled by the store anyway. */
export function watchRuns(store: RunStore, clock: Clock): vscode.Disposable {
    const records = vscode.workspace.createFileSystemWatcher(RECORDS);
    const folders = vscode.workspace.createFileSystemWatcher('**/runs/**', true, true, false);
    const again = new Debouncer(clock, QUIET, () => void store.refresh());
    const look = (uri: vscode.Uri): void => {
        const directory = path.dirname(uri.fsPath);
        const known = store.get(directory);
        if (!known || !isActive(known.state)) void store.look(directory);
    };
    return vscode.Disposable.from(
        records, folders, again,
        records.onDidCreate(look),
        records.onDidChange(look),
        folders.onDidDelete(() => again.trigger()),
        vscode.workspace.onDidChangeWorkspaceFolders(() => again.trigger()),
        vscode.workspace.onDidOpenTextDocument(({ languageId }) => {
            if (languageId === 'quant-recipe') again.trigger();
        }),
    );
}
