/** What calls back later; a test hands in its own. */
export interface Timer {
    after(milliseconds: number, callback: () => void): () => void;
}

const realTimer: Timer = {
    after: (milliseconds, callback) => {
        const handle = setTimeout(callback, milliseconds);
        return () => {
            clearTimeout(handle);
        };
    },
};

const INTERVAL_MS = 5000;

/** Speaks at most once in five seconds and never the same twice: the latest text wins, the last one is always spoken. */
export class Announcer {
    #last = '';
    #pending: string | null = null;
    #cancel: (() => void) | null = null;
    readonly #speak: (text: string) => void;
    readonly #timer: Timer;

    constructor(speak: (text: string) => void, timer: Timer = realTimer) {
        this.#speak = speak;
        this.#timer = timer;
    }

    say(text: string): void {
        if (this.#cancel) {
            this.#pending = text;
            return;
        }
        if (text === this.#last) return;
        this.#last = text;
        this.#speak(text);
        this.#cancel = this.#timer.after(INTERVAL_MS, () => {
            this.#cancel = null;
            const next = this.#pending;
            this.#pending = null;
            if (next !== null) this.say(next);
        });
    }

    dispose(): void {
        this.#cancel?.();
        this.#cancel = null;
    }
}
