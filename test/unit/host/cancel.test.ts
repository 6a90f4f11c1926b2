import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { silentLog } from '../../../src/base/log';
import { Canceller, PATIENCE, sendSignal } from '../../../src/runs/cancel';
import type { Liveness } from '../../../src/runs/liveness';
import { RunStore } from '../../../src/runs/store';
import type { Run } from '../../../src/runs/run';
import { FakeClock } from './helpers/clock';
import { record, temporaryFolder, writeRun } from './helpers/runs';
import { alive, until } from '../../helpers/wait';

const PATIENT = 'process.on("SIGINT", () => process.exit(130)); process.stdout.write("up"); setInterval(() => {}, 1000)';
const DEAF = 'process.on("SIGINT", () => process.stdout.write("heard")); process.stdout.write("up"); setInterval(() => {}, 1000)';

describe('cancelling a run', () => {
    const { folder, remove } = temporaryFolder();
    const children: ChildProcess[] = [];
    after(() => {
        for (const child of children) child.kill('SIGKILL');
        remove();
    });

    async function start(script: string): Promise<ChildProcess & { pid: number }> {
        const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
        children.push(child);
        await once(child.stdout, 'data');
        assert.ok(child.pid !== undefined);
        return child as ChildProcess & { pid: number };
    }

    /** A run directory whose record names this process, and everything that cancelling it needs. */
    async function setUp(name: string, pid: number, living: Liveness = () => Promise.resolve(alive(pid))) {
        const clock = new FakeClock();
        const directory = writeRun(folder, name, { record: record({ pid }) });
        const store = new RunStore({ discover: () => Promise.resolve([directory]), alive: living, clock, log: silentLog });
        await store.refresh();
        const offered: Run[] = [];
        const sent: string[] = [];
        const canceller = new Canceller({
            store, alive: living, clock, launchedPid: () => undefined, offerToStop: (run) => offered.push(run),
            send: (target, signal) => {
                sent.push(signal);
                return sendSignal(target, signal);
            },
        });
        const run = (): Run => store.get(directory) as Run;
        const dispose = (): void => {
            canceller.dispose();
            store.dispose();
        };
        return { clock, store, canceller, offered, sent, run, dispose };
    }

    it('interrupts the process group once, and shows it at once', async () => {
        const child = await start(PATIENT);
        const { canceller, run, sent, dispose } = await setUp('patient', child.pid);
        const exited = once(child, 'exit');
        assert.equal(await canceller.cancel(run()), 'asked');
        assert.equal(run().state, 'cancelling');
        assert.equal(run().stoppable, false);
        assert.equal(await canceller.cancel(run()), 'asked');
        assert.deepEqual(sent, ['SIGINT'], 'a second SIGINT would end the engine at once');
        assert.deepEqual(await exited, [130, null]);
        dispose();
    });

    it('sends one SIGINT however often it is asked to before it knows the process', async () => {
        const child = await start(DEAF);
        const { canceller, run, sent, clock, offered, dispose } = await setUp('eager', child.pid);
        const asked = run();
        assert.deepEqual(await Promise.all([canceller.cancel(asked), canceller.cancel(asked), canceller.cancel(run())]), ['asked', 'asked', 'asked']);
        assert.deepEqual(sent, ['SIGINT']);
        await clock.advance(PATIENCE);
        assert.equal(offered.length, 1, 'and one offer follows');
        dispose();
    });

    it('leaves nothing behind when the run ends, or is found on another machine, while its process is looked for', async () => {
        const child = await start(DEAF);
        let answer: (living: boolean | undefined) => void = () => undefined;
        let isAsking = false;
        const { canceller, run, sent, store, clock, offered, dispose } = await setUp('ending', child.pid, () => isAsking ? new Promise((resolve) => (answer = resolve)) : Promise.resolve(alive(child.pid)));
        const before = run();
        isAsking = true;
        const asked = canceller.cancel(before);
        const tell = answer;
        isAsking = false;
        writeRun(folder, 'ending', { record: record({ pid: child.pid, state: 'cancelled', updated: 'later' }) });
        await store.look(before.directory);
        tell(true);
        assert.equal(await asked, 'not-running');
        await clock.advance(PATIENCE);
        assert.deepEqual([sent, offered], [[], []]);

        // The run goes on under the same name: it can be cancelled again.
        writeRun(folder, 'ending', { record: record({ pid: child.pid, updated: 'latest' }) });
        await store.look(before.directory);
        isAsking = true;
        const elsewhere = canceller.cancel(run());
        answer(undefined);
        assert.equal(await elsewhere, 'other-host');
        const again = canceller.cancel(run());
        answer(true);
        assert.equal(await again, 'asked');
        assert.deepEqual(sent, ['SIGINT']);
        dispose();
    });

    it('offers to stop what does not end, and kills it when told to', async () => {
        const child = await start(DEAF);
        const { canceller, clock, offered, run, store, dispose } = await setUp('deaf', child.pid);
        await canceller.cancel(run());
        await clock.advance(PATIENCE - 1);
        assert.deepEqual(offered, []);
        await clock.advance(1);
        assert.equal(offered.length, 1);
        assert.equal(run().stoppable, true);
        assert.equal((await store.look(run().directory))?.stoppable, true, 'and it stays so while the run does not end');
        const exited = once(child, 'exit');
        await canceller.stopNow(run());
        assert.deepEqual(await exited, [null, 'SIGKILL']);
        await until('the run to be seen as interrupted', async () => (await store.look(run().directory))?.state === 'interrupted');
        assert.equal(run().stoppable, false);
        dispose();
    });

    it('offers nothing when the run has ended in time', async () => {
        const child = await start(PATIENT);
        const { canceller, clock, offered, run, store, dispose } = await setUp('in-time', child.pid);
        await canceller.cancel(run());
        writeRun(folder, 'in-time', { record: record({ pid: child.pid, state: 'cancelled', updated: 'later' }) });
        await store.look(run().directory);
        await clock.advance(PATIENCE);
        assert.deepEqual(offered, []);
        dispose();
    });

    it('signals no process on another machine, and none that merely has the pid', async () => {
        const child = await start(DEAF);
        for (const [living, outcome] of [[undefined, 'other-host'], [false, 'not-running']] as const) {
            const { canceller, run, sent, dispose } = await setUp(`never-${outcome}`, child.pid, () => Promise.resolve(living));
            const active = { ...run(), state: 'running' as const };
            assert.equal(await canceller.cancel(active), outcome);
            assert.equal(await canceller.stopNow(active), outcome);
            assert.deepEqual(sent, []);
            dispose();
        }
        assert.ok(alive(child.pid));
    });

    it('does nothing to a run that is over', async () => {
        const { canceller, run, sent, dispose } = await setUp('over', process.pid);
        assert.equal(await canceller.cancel({ ...run(), state: 'done' }), 'not-running');
        assert.deepEqual(sent, []);
        dispose();
    });
});
