import { Emitter, type Disposable } from '../base/events';
import type { Clock } from '../base/clock';
import type { Log } from '../base/log';
import type { Liveness } from './liveness';
import { lookAtRun, sameRun, startingRun, type Run } from './run';
import { isActive } from './state';

/** How often active runs are looked at, for file systems that do not tell of changes. */
export const POLL_INTERVAL = 700;

export interface RunChange {
    /** undefined: seen for the first time. */
    readonly before: Run | undefined;
    /** undefined: its directory was removed. */
    readonly after: Run | undefined;
}

export interface StoreOptions {
    /** All run directories of the workspace. */
    readonly discover: () => Promise<readonly string[]>;
    readonly alive: Liveness;
    readonly clock: Clock;
    readonly log: Log;
}

/** Every run that is known, as the run directories tell it. Reads only; starting and stopping is done elsewhere. */
export class RunStore implements Disposable {
    private readonly runs = new Map<string, Run>();
    /** Runs whose process has not written its record yet, with the pid in the record that was there before (a run that is resumed). */
    private readonly unborn = new Map<string, number | undefined>();
    /** One look at a directory at a time, so that an older look never overwrites a newer one. */
    private readonly looks = new Map<string, Promise<unknown>>();
    private readonly changes: Emitter<RunChange>;
    private poll: Disposable | undefined;
    private disposed = false;

    readonly onChange: Emitter<RunChange>['event'];

    constructor(private readonly options: StoreOptions) {
        this.changes = new Emitter((error) => options.log.error(`after a change of a run: ${String(error)}`));
        this.onChange = this.changes.event;
    }

    /** Newest first. */
    get all(): readonly Run[] {
        return [...this.runs.values()].sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : b.id.localeCompare(a.id)));
    }

    get active(): readonly Run[] {
        return this.all.filter(({ state }) => isActive(state));
    }

    get(directory: string): Run | undefined {
        return this.runs.get(directory);
    }

    /** Runs of a recipe, newest first. */
    of(recipe: string): readonly Run[] {
        return this.all.filter((run) => run.recipe === recipe);
    }

    /** Searches the workspace again and looks at every run. */
    async refresh(): Promise<void> {
        const found = await this.options.discover();
        await Promise.all([...new Set([...found, ...this.runs.keys()])].map((directory) => this.look(directory)));
    }

    /** Looks at one directory now; news goes to the listeners. */
    look(directory: string): Promise<Run | undefined> {
        const previous = this.looks.get(directory) ?? Promise.resolve();
        const look = previous.then(() => this.lookNow(directory));
        this.looks.set(directory, look.catch((error: unknown) => this.options.log.error(`looking at ${directory}: ${String(error)}`)));
        return look;
    }

    /** A process was started that will write this directory's record. */
    begin(directory: string, recipe: string): void {
        this.unborn.set(directory, this.runs.get(directory)?.record?.pid);
        this.put(directory, startingRun(directory, recipe, this.options.clock.now()));
    }

    /** That process has ended. `born`: it had written its record, so the run itself says how it ended. */
    async ended(directory: string): Promise<{ readonly born: boolean }> {
        await this.look(directory);
        const born = !this.unborn.delete(directory);
        if (!born) await this.look(directory);
        return { born };
    }

    /** Shows at once what was asked of the run, until its own record says more. */
    markCancelling(directory: string): void {
        const run = this.runs.get(directory);
        if (run && isActive(run.state)) this.put(directory, { ...run, state: 'cancelling' });
    }

    /** Cancelling takes long: from now on the run may be stopped at once. */
    markStoppable(directory: string): void {
        const run = this.runs.get(directory);
        if (run && isActive(run.state)) this.put(directory, { ...run, stoppable: true });
    }

    dispose(): void {
        this.disposed = true;
        this.poll?.dispose();
        this.changes.dispose();
    }

    private async lookNow(directory: string): Promise<Run | undefined> {
        const seen = await lookAtRun(directory, this.options.alive);
        if (this.disposed) return undefined;
        const before = this.runs.get(directory);
        const born = seen && !(this.unborn.has(directory) && this.unborn.get(directory) === seen.record?.pid);
        if (!born) {
            if (before && !this.unborn.has(directory)) this.remove(directory, before);
            return this.runs.get(directory);
        }
        this.unborn.delete(directory);
        // The signal is on its way: until the engine has seen it, its record still says “running”.
        const sameProcess = before?.record === undefined || before.record.pid === seen.record?.pid;
        const asked = before?.state === 'cancelling' && (seen.state === 'running' || seen.state === 'starting') && sameProcess;
        const stoppable = (before?.stoppable ?? false) && isActive(seen.state) && sameProcess;
        this.put(directory, { ...seen, stoppable, state: asked ? 'cancelling' : seen.state });
        return this.runs.get(directory);
    }

    private put(directory: string, run: Run): void {
        const before = this.runs.get(directory);
        if (before && sameRun(before, run)) return;
        this.runs.set(directory, run);
        this.changes.fire({ before, after: run });
        this.schedule();
    }

    private remove(directory: string, before: Run): void {
        this.runs.delete(directory);
        this.changes.fire({ before, after: undefined });
    }

    private schedule(): void {
        if (this.poll || this.disposed || this.active.length === 0) return;
        this.poll = this.options.clock.after(POLL_INTERVAL, () => {
            void Promise.allSettled(this.active.map(({ directory }) => this.look(directory))).then(() => {
                this.poll = undefined;
                this.schedule();
            });
        });
    }
}
