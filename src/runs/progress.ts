import * as vscode from 'vscode';
import { progressText, runStatus } from './describe';
import type { Run } from './run';
import type { RunStore } from './store';
import { isActive } from './state';

/** How long a run may take to begin before it is announced as starting. One that is refused is gone by then. */
const BEGINNING = 3000;
/** How long a run that was started here is announced, before the Runs view and the status bar take over. */
const ANNOUNCED = 5000;

/** Progress indicators of runs. Each ends with its run, however that ends. */
export class RunProgress implements vscode.Disposable {
    private viewBusy = false;
    private count = 0;
    private readonly listener: { dispose(): void };

    constructor(private readonly store: RunStore) {
        this.listener = store.onChange(() => this.showInView());
    }

    /** Indicators on screen now. */
    get open(): number {
        return this.count;
    }

    /** A notification for the first seconds of a run, from which it can be cancelled; none for a recipe that is refused. */
    async announce(run: Run, cancel: (run: Run) => unknown): Promise<void> {
        await this.until(run, (latest) => latest.record !== undefined || !isActive(latest.state), BEGINNING);
        if (!isActive(this.store.get(run.directory)?.state ?? 'failed')) return;
        const options = { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Quant: {0}', run.name), cancellable: true };
        this.show(options, async (progress, token) => {
            token.onCancellationRequested(() => cancel(run));
            await this.until(run, (latest) => {
                progress.report({ message: latest.progress ? progressText(latest.progress) : runStatus(latest) });
                return !isActive(latest.state);
            }, ANNOUNCED);
        });
    }

    dispose(): void {
        this.listener.dispose();
    }

    private showInView(): void {
        if (this.viewBusy || this.store.active.length === 0) return;
        this.viewBusy = true;
        this.show({ location: { viewId: 'quant.runs' } }, async () => {
            try {
                await new Promise<void>((resolve) => {
                    const listener = this.store.onChange(() => {
                        if (this.store.active.length > 0) return;
                        listener.dispose();
                        resolve();
                    });
                });
            } finally {
                this.viewBusy = false;
            }
        });
    }

    private show<T>(options: vscode.ProgressOptions, task: (progress: vscode.Progress<{ message?: string }>, token: vscode.CancellationToken) => Promise<T>): void {
        void vscode.window.withProgress(options, async (progress, token) => {
            this.count++;
            try {
                await task(progress, token);
            } finally {
                this.count--;
            }
        });
    }

    private until(run: Run, finished: (latest: Run) => boolean, milliseconds: number): Promise<void> {
        return new Promise((resolve) => {
            const end = (): void => {
                clearTimeout(timer);
                listener.dispose();
                resolve();
            };
            const timer = setTimeout(end, milliseconds);
            const listener = this.store.onChange(({ before, after }) => {
                if ((after ?? before)?.directory === run.directory && (!after || finished(after))) end();
            });
            if (finished(this.store.get(run.directory) ?? run)) end();
        });
    }
}
