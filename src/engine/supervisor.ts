import * as l10n from '@vscode/l10n';
import type { Clock } from '../base/clock';
import { Emitter, type Disposable } from '../base/events';
import { errorText } from '../base/log';
import { EngineError } from './errors';

/** A conversation with a started engine. */
export interface Session {
    /** Resolves, with the reason in words, when the process is gone. */
    readonly closed: Promise<string>;
    stop(): Promise<void>;
}

export type SupervisorState<S extends Session> =
    | { readonly kind: 'idle' }
    | { readonly kind: 'starting' }
    | { readonly kind: 'ready'; readonly session: S }
    | { readonly kind: 'waiting'; readonly cause: string; readonly milliseconds: number }
    | { readonly kind: 'stopping' }
    | { readonly kind: 'failed'; readonly error: EngineError };

/** Waits before the first, second and third restart; a fourth crash within the window is one too many. */
export const RESTART_DELAYS: readonly number[] = [1000, 2000, 4000];
export const RESTART_WINDOW = 3 * 60_000;

interface Waiter<S> {
    readonly promise: Promise<S>;
    readonly resolve: (session: S) => void;
    readonly reject: (error: EngineError) => void;
}

/**
 * Keeps one engine running: when to start it, when to start it again, when to give up. Policy only; `open` does the work and
 * resolves once the engine has said hello.
 */
export class Supervisor<S extends Session> implements Disposable {
    private current: SupervisorState<S> = { kind: 'idle' };
    private waiter: Waiter<S> | undefined;
    private crashes: number[] = [];
    private timer: Disposable | undefined;
    private opening: { readonly abort: AbortController; readonly done: Promise<unknown> } | undefined;
    private stopped: Promise<void> | undefined;
    /** Counts starts and stops, so that news of a superseded session is dropped. */
    private generation = 0;
    private readonly changed = new Emitter<SupervisorState<S>>();

    readonly onState = this.changed.event;

    constructor(
        private readonly open: (signal: AbortSignal) => Promise<S>,
        private readonly clock: Clock,
    ) {}

    get state(): SupervisorState<S> {
        return this.current;
    }

    /** A session that has said hello; starts the engine when it is idle. After a failure only `start` tries again. */
    async ready(): Promise<S> {
        if (this.current.kind === 'stopping') await this.stopped;
        if (this.current.kind === 'ready') return this.current.session;
        if (this.current.kind === 'failed') throw this.current.error;
        if (this.current.kind === 'idle') this.begin();
        return this.wait();
    }

    /** Starts also after a failure: a person asked for it. */
    start(): Promise<S> {
        if (this.current.kind === 'failed') {
            this.crashes = [];
            this.set({ kind: 'idle' });
        }
        return this.ready();
    }

    async restart(): Promise<S> {
        await this.stop();
        return this.start();
    }

    /** A request was answered: the engine works, earlier crashes no longer count. */
    requestFinished(): void {
        this.crashes = [];
    }

    stop(): Promise<void> {
        this.stopped ??= this.end().finally(() => {
            this.stopped = undefined;
        });
        return this.stopped;
    }

    /** Releases timers and listeners; the caller has awaited `stop`. */
    dispose(): void {
        this.timer?.dispose();
        this.changed.dispose();
    }

    private begin(): void {
        const generation = ++this.generation;
        const abort = new AbortController();
        this.set({ kind: 'starting' });
        const done = this.open(abort.signal).then(
            (session) => this.opened(generation, session),
            (error: unknown) => this.openFailed(generation, error),
        );
        this.opening = { abort, done };
    }

    private async opened(generation: number, session: S): Promise<void> {
        if (generation !== this.generation) return session.stop();
        this.set({ kind: 'ready', session });
        this.settle((waiter) => waiter.resolve(session));
        void session.closed.then((reason) => {
            if (generation === this.generation) this.crashed(new EngineError('crashed', reason));
        });
    }

    private openFailed(generation: number, error: unknown): void {
        if (generation !== this.generation) return;
        const failure = error instanceof EngineError ? error : new EngineError('crashed', errorText(error));
        if (failure.final) this.fail(failure);
        else this.crashed(failure);
    }

    private crashed(error: EngineError): void {
        const now = this.clock.now();
        this.crashes = [...this.crashes.filter((time) => now - time < RESTART_WINDOW), now];
        const milliseconds = RESTART_DELAYS[this.crashes.length - 1];
        if (milliseconds === undefined) {
            const message = l10n.t('The engine crashed {0} times within three minutes. Last cause: {1}', this.crashes.length, error.message);
            return this.fail(new EngineError('crashed', message));
        }
        this.set({ kind: 'waiting', cause: error.message, milliseconds });
        this.timer = this.clock.after(milliseconds, () => this.begin());
    }

    private fail(error: EngineError): void {
        this.generation++;
        this.set({ kind: 'failed', error });
        this.settle((waiter) => waiter.reject(error));
    }

    private async end(): Promise<void> {
        const before = this.current;
        if (before.kind === 'idle') return;
        this.generation++;
        this.timer?.dispose();
        this.set({ kind: 'stopping' });
        this.settle((waiter) => waiter.reject(new EngineError('stopped', l10n.t('The engine was stopped.'))));
        if (before.kind === 'starting') {
            this.opening?.abort.abort();
            await this.opening?.done;
        }
        if (before.kind === 'ready') await before.session.stop();
        this.crashes = [];
        this.set({ kind: 'idle' });
    }

    private wait(): Promise<S> {
        if (!this.waiter) {
            let resolve: Waiter<S>['resolve'] = () => undefined;
            let reject: Waiter<S>['reject'] = () => undefined;
            const promise = new Promise<S>((accept, refuse) => ([resolve, reject] = [accept, refuse]));
            promise.catch(() => undefined); // Each caller handles its own copy.
            this.waiter = { promise, resolve, reject };
        }
        return this.waiter.promise;
    }

    private settle(action: (waiter: Waiter<S>) => void): void {
        const { waiter } = this;
        this.waiter = undefined;
        if (waiter) action(waiter);
    }

    private set(state: SupervisorState<S>): void {
        this.current = state;
        this.changed.fire(state);
    }
}
