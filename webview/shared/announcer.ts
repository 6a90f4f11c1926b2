/** Speaks at most once in five seconds and never the same twice: the latest text wins, the last one is always spoken. */
export class Announcer {
    #last = '';
    #pending: string | null = null;
    #timer: ReturnType<typeof setTimeout> | null = null;
    readonly #speak: (text: string) => void;
    readonly #interval: number;

    constructor(speak: (text: string) => void, interval = 5000) {
        this.#speak = speak;
        this.#interval = interval;
    }

    say(text: string): void {
        if (this.#timer) {
            this.#pending = text;
            return;
        }
        if (text === this.#last) return;
        this.#last = text;
        this.#speak(text);
        this.#timer = setTimeout(() => {
            this.#timer = null;
            const next = this.#pending;
            this.#pending = null;
            if (next !== null) this.say(next);
        }, this.#interval);
    }

    dispose(): void {
        if (this.#timer) clearTimeout(this.#timer);
        this.#timer = null;
    }
}
