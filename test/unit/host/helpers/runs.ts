import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import type { RunRecord } from '../../../../protocol/generated/run';

export function temporaryFolder(): { readonly folder: string; readonly remove: () => void } {
    const folder = mkdtempSync(path.join(tmpdir(), 'quant-host-'));
    return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A record as the engine writes it, of a run that this test process is. */
export function record(change: Partial<RunRecord> = {}): RunRecord {
    return {
        format: 1, run: 'a-run', action: 'run', recipe: '/ws/a.quant.yaml', model: '/ws/model', output: '/ws/output', state: 'running',
        progress: { phase: 'quantize', done: 3, total: 6, unit: 'blocks', doing: '', seconds_left: null }, created: '2026-11-22T07:06:50.000Z', updated: '2026-11-22T07:07:00.000Z',
        finished: null, pid: process.pid, pid_started: 1, host: hostname(), device: 'cpu', environment: { python: '3.12.1' }, measurement: null,
        resumable: true, error: null, advice: null, log: 'engine.log', ...change,
    };
}

/** Writes a run directory below `folder`; returns its path. */
export function writeRun(folder: string, name: string, content: { record?: RunRecord; result?: unknown }): string {
    const directory = path.join(folder, 'runs', name);
    mkdirSync(directory, { recursive: true });
    if (content.record) writeFileSync(path.join(directory, 'run.json'), JSON.stringify(content.record));
    if (content.result) writeFileSync(path.join(directory, 'result.json'), JSON.stringify(content.result));
    return directory;
}
