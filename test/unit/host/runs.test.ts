import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { silentLog } from '../../../src/base/log';
import { lookAtRun, type Run } from '../../../src/runs/run';
import { processAlive, type Liveness } from '../../../src/runs/liveness';
import { runId } from '../../../src/runs/naming';
import { readRecord, readResult } from '../../../src/runs/record';
import { deriveState, isResumable } from '../../../src/runs/state';
import { POLL_INTERVAL, RunStore, type RunChange } from '../../../src/runs/store';
import { FakeClock } from './helpers/clock';
import { record, temporaryFolder, writeRun } from './helpers/runs';
import { until } from '../../helpers/wait';

const living: Liveness = () => Promise.resolve(true);
const dead: Liveness = () => Promise.resolve(false);
const elsewhere: Liveness = () => Promise.resolve(undefined);

describe('the state of a run', () => {
    it('is the record’s own, except when the process is gone without a last word', () => {
        for (const state of ['starting', 'running', 'cancelling'] as const) {
            assert.equal(deriveState(record({ state }), true), state);
            assert.equal(deriveState(record({ state }), false), 'interrupted');
            assert.equal(deriveState(record({ state }), undefined), state);
        }
        for (const state of ['cancelled', 'failed', 'done', 'done-with-fallbacks'] as const) assert.equal(deriveState(record({ state }), false), state);
    });

    it('allows resuming what was interrupted, cancelled or failed, and nothing else', () => {
        const resumable = (state: Parameters<typeof isResumable>[1], said = true): boolean => isResumable(record({ resumable: said }), state);
        assert.deepEqual(['interrupted', 'cancelled', 'failed'].map((state) => resumable(state as 'failed')), [true, true, true]);
        assert.deepEqual(['running', 'done', 'done-with-fallbacks'].map((state) => resumable(state as 'done')), [false, false, false]);
        assert.equal(resumable('interrupted', false), false);
    });

    it('finds a process by its pid and its start, not by its pid alone', async () => {
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
        try {
            const now = Date.now() / 1000;
            const of = (change: object): Promise<boolean | undefined> => processAlive(record({ pid: child.pid, pid_started: now, ...change }));
            await until('the process', () => of({}));
            assert.equal(await of({ pid_started: now - 60 }), false, 'a reused pid is not the run');
            assert.equal(await of({ host: `not-${hostname()}` }), undefined);
            child.kill('SIGKILL');
            await until('its end', async () => (await of({})) === false);
        } finally {
            child.kill('SIGKILL');
        }
    });
});

describe('run directories', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);

    it('are read with distrust', async () => {
        assert.equal(await readRecord(path.join(folder, 'none')), undefined);
        const odd = writeRun(folder, 'odd', { record: { ...record(), state: 'exploded' as 'done' }, result: { format: 2 } });
        assert.equal(await readRecord(odd), undefined);
        assert.equal(await readResult(odd), undefined);
        const directory = writeRun(folder, 'good', { record: record() });
        assert.deepEqual(await readRecord(directory), record());
    });

    it('show what the record says, and whether there is a result', async () => {
        const directory = writeRun(folder, 'finished', { record: record({ state: 'done', resumable: false }), result: {} });
        const run = await lookAtRun(directory, living);
        assert.deepEqual([run?.state, run?.hasResult, run?.resumable, run?.name], ['done', true, false, 'a']);
        const lost = await lookAtRun(writeRun(folder, 'lost', { record: record() }), dead);
        assert.deepEqual([lost?.state, lost?.hasResult, lost?.resumable], ['interrupted', false, true]);
    });

    it('are named by time, plain enough for the engine and every file system', () => {
        const time = Date.UTC(2026, 10, 22, 7, 6, 50, 123);
        assert.equal(runId('/ws/my model.quant.yaml', time), '20261122T070650Z-my-model');
        assert.equal(runId('/ws/quant.yaml', time, 2), '20261122T070650Z-quant-2');
        assert.match(runId('/ws/模型.quant.yaml', time), /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/);
        assert.match(runId(`/ws/${'x'.repeat(400)}.quant.yaml`, time, 12), /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/);
    });
});

describe('the store of runs', () => {
    const { folder, remove } = temporaryFolder();
    let changes: RunChange[] = [];
    let clock = new FakeClock();
    after(remove);

    function store(alive: Liveness, discovered: readonly string[] = []): RunStore {
        clock = new FakeClock();
        changes = [];
        const created = new RunStore({ discover: () => Promise.resolve(discovered), alive, clock, log: silentLog });
        created.onChange((change) => changes.push(change));
        return created;
    }
    const states = (): (string | undefined)[] => changes.map(({ after }) => after?.state);
    /** Reading files takes real time, which the fake clock does not know of. */
    const poll = async (runs: RunStore): Promise<void> => {
        await clock.advance(POLL_INTERVAL);
        await Promise.all(runs.all.map(({ directory }) => runs.look(directory)));
    };

    it('finds runs on disk, newest first', async () => {
        const old = writeRun(folder, 'old', { record: record({ state: 'done', created: '2026-01-01T00:00:00Z' }) });
        const young = writeRun(folder, 'young', { record: record({ state: 'failed', created: '2026-02-01T00:00:00Z' }) });
        const runs = store(dead, [old, young, path.join(folder, 'runs', 'nothing')]);
        await runs.refresh();
        assert.deepEqual(runs.all.map(({ id }) => id), ['young', 'old']);
        assert.deepEqual(runs.active, []);
        assert.equal(clock.pending, 0, 'nothing is polled when nothing runs');
        runs.dispose();
    });

    it('follows a run that was started by somebody else to its end', async () => {
        const directory = writeRun(folder, 'followed', { record: record() });
        const runs = store(living, [directory]);
        await runs.refresh();
        assert.equal(runs.active.length, 1);
        writeRun(folder, 'followed', { record: record({ state: 'done', updated: 'later' }), result: {} });
        await poll(runs);
        assert.deepEqual(states(), ['running', 'done']);
        await poll(runs);
        assert.equal(clock.pending, 0);
        runs.dispose();
    });

    it('tells of no change when nothing changed', async () => {
        const directory = writeRun(folder, 'still', { record: record() });
        const runs = store(living, [directory]);
        await runs.refresh();
        await poll(runs);
        await runs.look(directory);
        assert.equal(changes.length, 1);
        runs.dispose();
    });

    it('shows a run from the start of its process, and forgets one that never came to life', async () => {
        const runs = store(living);
        const directory = path.join(folder, 'runs', 'unborn');
        runs.begin(directory, '/ws/a.quant.yaml');
        assert.equal(runs.get(directory)?.state, 'starting');
        await poll(runs);
        assert.equal(runs.get(directory)?.state, 'starting');
        assert.deepEqual(await runs.ended(directory), { born: false });
        assert.equal(runs.get(directory), undefined);
        assert.deepEqual(states(), ['starting', undefined]);
        runs.dispose();
    });

    it('does not take the record of before for the word of a resumed run', async () => {
        const directory = writeRun(folder, 'resumed', { record: record({ state: 'cancelled', pid: 11 }) });
        const runs = store(living, [directory]);
        await runs.refresh();
        runs.begin(directory, '/ws/a.quant.yaml');
        await poll(runs);
        assert.equal(runs.get(directory)?.state, 'starting');
        writeRun(folder, 'resumed', { record: record({ state: 'running', pid: 12, updated: 'later' }) });
        await poll(runs);
        assert.equal(runs.get(directory)?.state, 'running');
        assert.deepEqual(await runs.ended(directory), { born: true });
        runs.dispose();
    });

    it('goes back to what was when resuming was refused', async () => {
        const directory = writeRun(folder, 'refused', { record: record({ state: 'cancelled', pid: 11 }) });
        const runs = store(living, [directory]);
        await runs.refresh();
        runs.begin(directory, '/ws/a.quant.yaml');
        assert.deepEqual(await runs.ended(directory), { born: false });
        assert.equal(runs.get(directory)?.state, 'cancelled');
        runs.dispose();
    });

    it('shows cancelling at once, until the run itself says more', async () => {
        const directory = writeRun(folder, 'cancelled', { record: record() });
        const runs = store(living, [directory]);
        await runs.refresh();
        runs.markCancelling(directory);
        assert.equal(runs.get(directory)?.state, 'cancelling');
        writeRun(folder, 'cancelled', { record: record({ updated: 'later' }) });
        await poll(runs);
        assert.equal(runs.get(directory)?.state, 'cancelling', 'the signal may still be on its way');
        writeRun(folder, 'cancelled', { record: record({ state: 'cancelled', updated: 'latest' }) });
        await poll(runs);
        assert.deepEqual(states(), ['running', 'cancelling', 'cancelling', 'cancelled']);
        runs.dispose();
    });

    it('notices that a directory was removed', async () => {
        const directory = writeRun(folder, 'removed', { record: record({ state: 'done' }) });
        const runs = store(dead, [directory]);
        await runs.refresh();
        rmSync(directory, { recursive: true });
        await runs.refresh();
        assert.deepEqual(runs.all, []);
        assert.equal(changes.at(-1)?.after, undefined);
        runs.dispose();
    });

    it('does not call a run on another machine interrupted', async () => {
        const directory = writeRun(folder, 'elsewhere', { record: record({ host: 'cluster-7' }) });
        const runs = store(elsewhere, [directory]);
        await runs.refresh();
        assert.equal((runs.get(directory) as Run).state, 'running');
        runs.dispose();
    });
});
