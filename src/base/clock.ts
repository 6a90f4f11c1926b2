import type { Disposable } from './events';

/** Time as a dependency: tests move it by hand. */
export interface Clock {
    /** Milliseconds since the epoch. */
    now(): number;
    after(milliseconds: number, action: () => void): Disposable;
}

export const systemClock: Clock = {
    now: () => Date.now(),
    after(milliseconds, action) {
        const timer = setTimeout(action, milliseconds);
        return { dispose: () => clearTimeout(timer) };
    },
};

/** Resolves to whether `promise` settled within the time. */
export function settledWithin(clock: Clock, promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
        const timer = clock.after(milliseconds, () => resolve(false));
        const settle = (): void => {
            timer.dispose();
            resolve(true);
        };
        promise.then(settle, settle);
    });
}

/** Runs an action once, `quiet` milliseconds after the last call. */
export class Debouncer implements Disposable {
    private timer: Disposable | undefined;

    constructor(
        private readonly clock: Clock,
        private readonly quiet: number,
        private readonly action: () => void,
    ) {}

    trigger(): void {
        this.timer?.dispose();
        this.timer = this.clock.after(this.quiet, this.action);
    }

    dispose(): void {
        this.timer?.dispose();
    }
}

/** Runs an action at once, then at most every `interval` milliseconds; the last call is never lost. */
export class Throttle implements Disposable {
    private timer: Disposable | undefined;
    private again = false;

    constructor(
        private readonly clock: Clock,
        private readonly interval: number,
        private readonly action: () => void,
    ) {}

    trigger(): void {
        if (this.timer) {
            this.again = true;
            return;
        }
        this.again = false;
        this.timer = this.clock.after(this.interval, () => {
            this.timer = undefined;
            if (this.again) this.trigger();
        });
        this.action();
    }

    dispose(): void {
        this.timer?.dispose();
    }
}
