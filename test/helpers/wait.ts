import { setTimeout as delay } from 'node:timers/promises';

/** Asks every 20 ms until the answer is truthy. */
export async function until<T>(what: string | (() => string), ask: () => T | Promise<T>, timeout = 60_000): Promise<NonNullable<T>> {
    const end = Date.now() + timeout;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`Waited ${timeout / 1000} s for ${typeof what === 'string' ? what : what()}`);
        await delay(20);
    }
}

export function alive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
}
