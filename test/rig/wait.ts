import { setTimeout as delay } from 'node:timers/promises';

/** Asks again every 50 ms until the answer is truthy; the error says what was waited for and what was last seen. */
export async function until<T>(what: string, ask: () => T | Promise<T>, timeout = 60_000): Promise<NonNullable<T>> {
    const end = Date.now() + timeout;
    let last: unknown;
    for (;;) {
        try {
            const answer = await ask();
            if (answer) return answer;
            last = answer;
        } catch (error) {
            last = error;
        }
        if (Date.now() > end) throw new Error(`Waited ${timeout / 1000} s for ${what}; last seen: ${String(last)}`);
        await delay(50);
    }
}
