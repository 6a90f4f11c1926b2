import type { Clock } from '../../../../src/base/clock';
import type { Disposable } from '../../../../src/base/events';

interface Timer {
    readonly time: number;
    readonly action: () => void;
}

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
    private time = 1_000_000;
    private readonly timers = new Set<Timer>();

    now(): number {
        return this.time;
    }

    after(milliseconds: number, action: () => void): Disposable {
        const timer = { time: this.time + milliseconds, action };
        this.timers.add(timer);
        return { dispose: () => this.timers.delete(timer) };
    }

    /** Runs what falls due, in order, letting promises settle before and after each. */
    async advance(milliseconds: number): Promise<void> {
        const end = this.time + milliseconds;
        await settle();
        for (;;) {
            const next = [...this.timers].sort((a, b) => a.time - b.time)[0];
            if (!next || next.time > end) break;
            this.timers.delete(next);
            this.time = next.time;
            next.action();
            await settle();
        }
        this.time = end;
    }

    get pending(): number {
        return this.timers.size;
    }
}

/** Lets promise chains that wait for nothing else run to their end. */
export async function settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
