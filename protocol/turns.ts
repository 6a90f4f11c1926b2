/** Longer than this nothing holds up what else is asked: half of what a keystroke may take. */
const TURN_MS = 8;
/** Between two looks at the clock. */
const STEPS = 256;

/** A long loop that lets others have their turn: `if (turns.isOver()) await turns.next()` in each step. */
export class Turns {
    private steps = 0;
    private began: number;

    constructor(private readonly now: () => number = () => performance.now()) {
        this.began = now();
    }

    isOver(): boolean {
        return ++this.steps % STEPS === 0 && this.now() - this.began > TURN_MS;
    }

    async next(): Promise<void> {
        await new Promise<void>((resolve) => setImmediate(resolve));
        this.began = this.now();
    }
}
