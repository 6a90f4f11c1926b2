import type { Clock } from '../base/clock';
import type { Disposable } from '../base/events';
import { signalGroup } from '../engine/command';
import type { Liveness } from './liveness';
import type { Run } from './run';
import type { RunStore } from './store';
import { isActive } from './state';

/** How long a run may take to reach its next layer before stopping it at once is offered. */
export const PATIENCE = 5000;

export type SendSignal = (pid: number, signal: NodeJS.Signals) => boolean;

/** To the group that the run leads; a run that was started inside somebody else's group gets the signal alone. */
export const sendSignal: SendSignal = (pid, signal) => {
    if (process.platform !== 'win32' && signalGroup(pid, signal)) return true;
    try {
        process.kill(pid, signal);
        return true;
    } catch {
        return false;
    }
};

export interface CancelOptions {
    readonly store: RunStore;
    readonly alive: Liveness;
    readonly clock: Clock;
    readonly send: SendSignal;
    /** Pid of a run that this window started and that has not written its record yet. */
    readonly launchedPid: (directory: string) => number | undefined;
    /** Offers to stop the run at once. */
    readonly offerToStop: (run: Run) => void;
}

export type CancelOutcome = 'asked' | 'not-running' | 'other-host';

/** One wish to cancel a run, from the first moment on until the run ends. */
interface Asking {
    outcome: Promise<CancelOutcome>;
    patience?: Disposable;
}

/** The ladder: SIGINT once (a second one would end the engine at once), then, after a while, the offer to kill. */
export class Canceller implements Disposable {
    private readonly asked = new Map<string, Asking>();
    private readonly listener: Disposable;

    constructor(private readonly options: CancelOptions) {
        this.listener = options.store.onChange(({ before, after }) => {
            if (before && (!after || !isActive(after.state))) this.forget(before.directory);
        });
    }

    cancel(run: Run): Promise<CancelOutcome> {
        if (!isActive(run.state)) return Promise.resolve('not-running');
        const known = this.asked.get(run.directory);
        if (known) return known.outcome;
        const asking: Asking = { outcome: Promise.resolve('asked') };
        this.asked.set(run.directory, asking);
        asking.outcome = this.interrupt(run, asking).catch((error: unknown) => {
            this.forget(run.directory, asking);
            throw error;
        });
        return asking.outcome;
    }

    private async interrupt(run: Run, asking: Asking): Promise<CancelOutcome> {
        const { store, send, clock, offerToStop } = this.options;
        const pid = await this.pidOf(run);
        // The run may have ended while its process was looked for.
        const hasEnded = this.asked.get(run.directory) !== asking || !isActive(store.get(run.directory)?.state ?? run.state);
        if (typeof pid === 'string' || hasEnded) {
            this.forget(run.directory, asking);
            return typeof pid === 'string' ? pid : 'not-running';
        }
        store.markCancelling(run.directory);
        asking.patience = clock.after(PATIENCE, () => {
            const latest = store.get(run.directory);
            if (!latest || !isActive(latest.state)) return;
            store.markStoppable(run.directory);
            offerToStop(latest);
        });
        send(pid, 'SIGINT');
        return 'asked';
    }

    /** Ends the run where it is; what it has finished is durable, so it can usually be resumed. */
    async stopNow(run: Run): Promise<CancelOutcome> {
        const pid = await this.pidOf(run);
        if (typeof pid === 'string') return pid;
        this.options.send(pid, 'SIGKILL');
        await this.options.store.look(run.directory);
        return 'asked';
    }

    dispose(): void {
        this.listener.dispose();
        for (const { patience } of this.asked.values()) patience?.dispose();
        this.asked.clear();
    }

    /** Never signals a process that merely inherited the run's pid. */
    private async pidOf(run: Run): Promise<number | 'not-running' | 'other-host'> {
        if (!run.record) return this.options.launchedPid(run.directory) ?? 'not-running';
        const living = await this.options.alive(run.record);
        if (living === undefined) return 'other-host';
        return living ? run.record.pid : 'not-running';
    }

    /** asking: only this wish, not one that came after it. */
    private forget(directory: string, asking = this.asked.get(directory)): void {
        if (this.asked.get(directory) !== asking) return;
        asking?.patience?.dispose();
        this.asked.delete(directory);
    }
}
