import { askEverything } from '../unit/server/everything';
import { corpus, edits, type Edited } from '../unit/server/fuzz';

const LIMIT_MS = 200;
const [count = 20_000, seed = 2026] = process.argv.slice(2).map(Number);

interface Slow {
    readonly milliseconds: number;
    readonly edited: Edited;
}

/** Milliseconds for everything that the server can be asked about a text. */
function time({ text, offset, facts }: Edited): number {
    const start = performance.now();
    askEverything(text, offset, facts);
    return performance.now() - start;
}

const originals = await corpus();
const times: number[] = [];
const slow: Slow[] = [];
const broken: string[] = [];
for (const edited of edits(originals, count, seed)) {
    try {
        const milliseconds = time(edited);
        times.push(milliseconds);
        if (milliseconds > LIMIT_MS) slow.push({ milliseconds, edited });
    } catch (error) {
        broken.push(`${edited.file} ${JSON.stringify(edited.text)}\n  ${error instanceof Error ? error.stack : String(error)}`);
    }
}
// Another process may have taken the core; a text that is slow is slow again.
const still = slow.map(({ milliseconds, edited }) => ({ milliseconds: Math.min(milliseconds, time(edited)), edited })).filter(({ milliseconds }) => milliseconds > LIMIT_MS);
times.sort((a, b) => a - b);
const at = (share: number): string => `${(times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? NaN).toFixed(1)} ms`;
console.log(`${count} edits of ${originals.length} recipes, seed ${seed}: ${broken.length} exceptions or positions outside the text, ${still.length} over ${LIMIT_MS} ms (${slow.length} at first)`);
console.log(`everything about one text: median ${at(0.5)}, 99 % ${at(0.99)}, longest ${at(1)}`);
for (const one of broken.slice(0, 10)) console.error(one);
for (const { milliseconds, edited } of still.slice(0, 10)) console.error(`${milliseconds.toFixed(0)} ms: ${edited.file} ${JSON.stringify(edited.text)}`);
process.exitCode = broken.length + still.length > 0 ? 1 : 0;
