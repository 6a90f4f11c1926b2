import path from 'node:path';
import * as vscode from 'vscode';
import { errorText } from '../base/log';
import type { Notifier } from '../ui/notify';
import type { RunProgress } from './progress';
import type { Run } from './run';
import { chooseOutput } from './chooseOutput';
import { selectRecipe, selectRun, type Target } from './select';
import type { RunAction } from './launcher';
import type { RunService } from './service';
import { isActive } from './state';
import type { RunStore } from './store';

export interface RunCommandParts {
    readonly store: RunStore;
    readonly service: RunService;
    readonly progress: RunProgress;
    readonly notify: Notifier;
    /** Says what is wrong when the engine cannot be used at all. */
    readonly explain: (error: unknown, attempted: string) => void;
}

/** The commands that act on runs. */
export class RunCommands {
    /** Recipes that are just being started: a second click means the same run. */
    private readonly starting = new Map<string, Promise<Run | undefined>>();

    constructor(private readonly parts: RunCommandParts) {}

    run(target?: Target): Promise<Run | undefined> {
        return this.begin(target, 'run');
    }

    /** Compares the recipe's candidates on every layer, and writes no checkpoint. */
    measure(target?: Target): Promise<Run | undefined> {
        return this.begin(target, 'sensitivity');
    }

    private async begin(target: Target | undefined, action: RunAction): Promise<Run | undefined> {
        const uri = await selectRecipe(target);
        if (!uri) return undefined;
        const key = uri.toString();
        const started = this.starting.get(key) ?? this.start(uri, action).finally(() => this.starting.delete(key));
        this.starting.set(key, started);
        return started;
    }

    private async start(uri: vscode.Uri, action: RunAction): Promise<Run | undefined> {
        const { store, service, progress, notify, explain } = this.parts;
        if (uri.scheme !== 'file') {
            notify.error(vscode.l10n.t('{0} is not a file on this machine, so the engine cannot read it.', uri.toString()));
            return undefined;
        }
        const running = store.of(uri.fsPath).find(({ state }) => isActive(state));
        if (running) {
            // Not of one that may be refused yet.
            if (running.record) notify.info(vscode.l10n.t('{0} is running already.', running.name));
            return running;
        }
        if (!(await this.save(uri))) return undefined;
        try {
            const place = action === 'run' ? await chooseOutput(uri) : { output: undefined };
            if (place === 'dismissed') return undefined;
            const run = await service.start(uri.fsPath, place.output, action);
            void progress.announce(run, (started) => this.cancelRun(store.get(started.directory) ?? started));
            return run;
        } catch (error) {
            explain(error, vscode.l10n.t('{0} could not be run', path.basename(uri.fsPath)));
            return undefined;
        }
    }

    async resume(target?: Target): Promise<Run | undefined> {
        const { store, service, progress, notify, explain } = this.parts;
        const run = await selectRun(store, target, ({ resumable }) => resumable, vscode.l10n.t('Which run should go on?'));
        if (!run?.resumable) {
            notify.info(vscode.l10n.t('There is no run that can be resumed.'));
            return undefined;
        }
        try {
            const resumed = await service.resume(run);
            void progress.announce(resumed, (started) => this.cancelRun(store.get(started.directory) ?? started));
            return resumed;
        } catch (error) {
            explain(error, vscode.l10n.t('{0} could not be resumed', run.name));
            return undefined;
        }
    }

    async cancel(target?: Target): Promise<void> {
        const { store, notify } = this.parts;
        const run = await selectRun(store, target, ({ state }) => isActive(state), vscode.l10n.t('Which run should be cancelled?'));
        if (run) await this.cancelRun(run);
        else notify.info(vscode.l10n.t('Nothing is running.'));
    }

    async cancelRun(run: Run): Promise<void> {
        const { service, notify, store } = this.parts;
        const outcome = await service.cancel(run);
        if (outcome === 'other-host') {
            notify.warn(vscode.l10n.t('{0} runs on {1}; cancel it there.', run.name, run.record?.host ?? ''));
        }
        if (outcome === 'not-running') await store.look(run.directory);
    }

    /** The last step of cancelling, once it is offered. */
    async stop(target?: Target): Promise<void> {
        const { store, service, notify } = this.parts;
        const run = await selectRun(store, target, ({ stoppable }) => stoppable, vscode.l10n.t('Which run should be stopped at once?'));
        if (run?.stoppable) await service.stopNow(run);
        else notify.info(vscode.l10n.t('A run can be stopped at once when cancelling it takes long.'));
    }

    /** Offered when cancelling takes long. */
    offerToStop(run: Run): void {
        const { service, notify } = this.parts;
        const message = vscode.l10n.t('{0} is still finishing what it is working on. Stopping now loses only that.', run.name);
        notify.warn(message, { title: vscode.l10n.t('Stop Now'), run: () => service.stopNow(run) });
    }

    /** What is on disk is what the engine reads. */
    async save(uri: vscode.Uri): Promise<boolean> {
        const document = vscode.workspace.textDocuments.find((candidate) => candidate.uri.toString() === uri.toString());
        if (!document?.isDirty) return true;
        try {
            // `save` answers false, too, when auto save came first.
            if (await document.save() || !document.isDirty) return true;
            this.parts.notify.error(vscode.l10n.t('{0} could not be saved, so it was not run.', path.basename(uri.fsPath)));
        } catch (error) {
            this.parts.notify.error(vscode.l10n.t('{0} could not be saved, so it was not run: {1}', path.basename(uri.fsPath), errorText(error)));
        }
        return false;
    }
}
