import * as vscode from 'vscode';
import type { Clock } from '../base/clock';
import { Debouncer } from '../base/clock';
import { DisposableList, type Disposable } from '../base/events';

/** A copy that is under way changes its files many times. */
const QUIET_MS = 300;
const FILES = '**/{config.json,*.safetensors,*.safetensors.index.json,*.jsonl,*.txt}';

/** Tells of changed checkpoints and texts in the workspace, a while after the last change. */
export class ChangedFiles implements Disposable {
    private readonly life = new DisposableList();
    private uris = new Set<string>();

    constructor(clock: Clock, changed: (uris: readonly string[]) => void) {
        const debouncer = this.life.add(new Debouncer(clock, QUIET_MS, () => {
            const uris = [...this.uris];
            this.uris.clear();
            changed(uris);
        }));
        const watcher = this.life.add(vscode.workspace.createFileSystemWatcher(FILES));
        const note = (uri: vscode.Uri): void => {
            this.uris.add(uri.toString());
            debouncer.trigger();
        };
        for (const event of [watcher.onDidCreate, watcher.onDidChange, watcher.onDidDelete]) this.life.add(event(note));
        // An output folder that was removed has no file left to watch.
        this.life.add(vscode.workspace.onDidDeleteFiles(({ files }) => files.forEach(note)));
    }

    dispose(): void {
        this.life.dispose();
    }
}
