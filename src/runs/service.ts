import type { Clock } from '../base/clock';
import type { Log } from '../base/log';
import { Canceller, sendSignal, type CancelOutcome } from './cancel';
import { removeStillborn, resumeRun, startRun, words, type EngineCommand, type Launched, type RunAction } from './launcher';
import type { Liveness } from './liveness';
import { stillbornCause } from './problems';
import type { Run } from './run';
import type { RunStore } from './store';

export interface RunServiceOptions {
    readonly store: RunStore;
    readonly engine: EngineCommand;
    readonly alive: Liveness;
    readonly clock: Clock;
    readonly log: Log;
    readonly offerToStop: (run: Run) => void;
    /** A process ended before its run began (or went on): nothing is left of it but its words. */
    readonly stillborn: (recipe: string, cause: string, output: string) => void;
}

/** Starts, resumes and cancels runs. What becomes of them is read from their directories, by the store. */
export class RunService {
    private readonly launched = new Map<string, Launched>();
    readonly canceller: Canceller;

    constructor(private readonly options: RunServiceOptions) {
        const { store, alive, clock, offerToStop } = options;
        this.canceller = new Canceller({
            store, alive, clock, offerToStop, send: sendSignal, launchedPid: (directory) => this.launched.get(directory)?.pid,
        });
    }

    /** Starts a recipe that is saved on disk; resolves once its process was started. */
    async start(recipe: string, output?: string, action: RunAction = 'run'): Promise<Run> {
        const { engine, clock, store, log } = this.options;
        const launched = await startRun(recipe, engine, clock, output, action);
        log.info(`run ${launched.directory}: started, pid ${String(launched.pid)}`);
        store.begin(launched.directory, recipe);
        return this.attend(launched, recipe);
    }

    async resume(run: Run): Promise<Run> {
        const { engine, store, log } = this.options;
        const launched = await resumeRun(run.directory, run.recipe, engine);
        log.info(`run ${launched.directory}: resumed, pid ${String(launched.pid)}`);
        store.begin(run.directory, run.recipe);
        return this.attend(launched, run.recipe);
    }

    cancel(run: Run): Promise<CancelOutcome> {
        return this.canceller.cancel(run);
    }

    stopNow(run: Run): Promise<CancelOutcome> {
        return this.canceller.stopNow(run);
    }

    dispose(): void {
        this.canceller.dispose();
    }

    private attend(launched: Launched, recipe: string): Run {
        const { store, log } = this.options;
        const { directory } = launched;
        this.launched.set(directory, launched);
        this.untilEnd(launched, recipe).catch((error: unknown) => log.error(`run ${directory}: ${String(error)}`));
        const run = store.get(directory);
        if (!run) throw new Error(`${directory} was started but is not known`);
        return run;
    }

    private async untilEnd(launched: Launched, recipe: string): Promise<void> {
        const { store, log, stillborn } = this.options;
        const { exitCode, failure } = await launched.ended;
        log.info(`run ${launched.directory}: ended with ${failure ?? `exit code ${String(exitCode)}`}`);
        // A cancelled run can be resumed as soon as its record says so, a moment before its process is gone: the directory is then the new one's.
        if (this.launched.get(launched.directory) !== launched) return;
        this.launched.delete(launched.directory);
        const cancelled = store.get(launched.directory)?.state === 'cancelling';
        const { born } = await store.ended(launched.directory);
        if (born) return;
        const output = await words(launched);
        await removeStillborn(launched.directory);
        await store.look(launched.directory);
        if (!cancelled) stillborn(recipe, failure ?? stillbornCause(output), output);
    }
}
