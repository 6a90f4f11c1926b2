import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CompletionList, Hover, Position } from 'vscode-languageserver/node';
import { readCheckpoint } from '../../protocol/checkpoint';
import { Server } from '../lsp/client';
import { schema } from '../unit/server/fixture';
import { longRecipe, writeCheckpoint } from './checkpoint';

const [BLOCKS, SHARDS, LINES] = [286, 400, 500];
const [WARM_UP, ROUNDS] = [15, 41];
const folder = mkdtempSync(path.join(tmpdir(), 'quant-bench-'));
const rows: (readonly [what: string, value: number, limit: number, unit: string, processor?: number])[] = [];

function median(values: readonly number[]): number {
    return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Milliseconds of processor time that a process has taken; Linux counts in hundredths of a second. */
function processorTime(pid: number): number {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
}

/**
 * Median of the rounds that follow those in which code is compiled, and the mean processor time of a round, which depends less on what else runs.
 * `rest`: what a round waits for before the next one, and what is not timed.
 */
async function measure(what: string, limit: number, pid: number, once: (round: number) => Promise<unknown>, rest?: () => Promise<unknown>): Promise<void> {
    const times: number[] = [];
    let before = 0;
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
        if (round === WARM_UP) before = processorTime(pid);
        const start = performance.now();
        await once(round);
        if (round >= WARM_UP) times.push(performance.now() - start);
        await rest?.();
    }
    rows.push([what, median(times), limit, 'ms', (processorTime(pid) - before) / ROUNDS]);
}

try {
    const layers = writeCheckpoint(path.join(folder, 'checkpoint'), BLOCKS, SHARDS);
    writeFileSync(path.join(folder, 'texts.txt'), 'Some words that repeat. '.repeat(1000));
    const first = performance.now();
    await readCheckpoint(path.join(folder, 'checkpoint'), schema.architectures);
    rows.push([`header of an index of ${SHARDS} shards, for the first time`, performance.now() - first, 300, 'ms']);
    await measure(`header of an index of ${SHARDS} shards`, 300, process.pid, () => readCheckpoint(path.join(folder, 'checkpoint'), schema.architectures));

    const server = new Server();
    // As VS Code does, which asks for the documentation of the one completion that it shows.
    await server.initialize({}, { textDocument: { completion: { completionItem: { resolveSupport: { properties: ['documentation'] } } } } });
    const uri = pathToFileURL(path.join(folder, 'long.quant.yaml')).href;
    const text = longRecipe(LINES, BLOCKS);
    await server.open(uri, text);
    // The header is read beside the typing path; what it says comes with a second look.
    const seen = await server.diagnostics(uri, (found) => found.some(({ code }) => code === 'rule-shadowed' || code === 'fused-layers'));
    const lines = text.split('\n');
    const line = lines.findIndex((one, index) => index > LINES / 2 && one.includes('- layers: "model.layers'));
    const inPattern: Position = { line, character: lines[line]!.indexOf('"') + 1 };
    const inMethod: Position = { line: line + 2, character: lines[line + 2]!.indexOf('gptq') };
    let version = 1;
    const type = async (): Promise<number> => {
        const at = { line: line - 1, character: 5 };
        const isEven = version % 2 === 0;
        const range = { start: at, end: isEven ? { ...at, character: 6 } : at };
        await server.notify('textDocument/didChange', { textDocument: { uri, version: ++version }, contentChanges: [{ range, text: isEven ? '' : '#' }] });
        return version;
    };
    await measure('diagnostics after a keystroke, with the 10 ms that the server waits for the next one', 50, server.pid, async () => {
        const typed = await type();
        await server.diagnostics(uri, (_, published) => published === typed);
    });
    const asked = async <T>(method: string, position: Position): Promise<T> => {
        await type();
        return server.request<T>(method, uri, { position });
    };
    // Nobody types before the diagnostics of the last keystroke are there.
    const settled = (): Promise<unknown> => server.diagnostics(uri, (_, published) => published === version);
    await measure('completion of a pattern after a keystroke', 30, server.pid, () => asked<CompletionList>('textDocument/completion', inPattern), settled);
    await measure('completion of a method after a keystroke', 30, server.pid, () => asked<CompletionList>('textDocument/completion', inMethod), settled);
    await measure('hover over a pattern after a keystroke', 20, server.pid, () => asked<Hover>('textDocument/hover', inPattern), settled);
    await measure('completion of a pattern, keystrokes as fast as it answers', Infinity, server.pid, () => asked<CompletionList>('textDocument/completion', inPattern));
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    const megabytes = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) / 1000;
    rows.push(['resident memory of the server, at the end', megabytes('VmRSS'), 120, 'MB'], ['resident memory of the server, most', megabytes('VmHWM'), 120, 'MB']);
    await server.stop();
    console.log(`${LINES} lines, ${layers} layers, ${seen.length} findings; medians of ${ROUNDS} after ${WARM_UP}`);
    for (const [what, value, limit, unit, processor] of rows) {
        console.log(`| ${what} | ${value.toFixed(1)} ${unit} | ${processor === undefined ? '' : `${processor.toFixed(1)} ms`} | ${limit === Infinity ? '' : `${limit} ${unit}`} |${value > limit ? ' TOO MUCH' : ''}`);
    }
} finally {
    rmSync(folder, { recursive: true, force: true });
}
process.exitCode = rows.some(([, value, limit]) => value > limit) ? 1 : 0;
