import assert from 'node:assert/strict';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Log } from '../../../src/base/log';
import { silentLog } from '../../../src/base/log';
import { LiveCollector } from '../../../src/runs/live';
import { LineTail } from '../../../src/runs/tail';
import { temporaryFolder } from './helpers/runs';

describe('following a file of lines', () => {
    const { folder, remove } = temporaryFolder();
    const file = path.join(folder, 'events.jsonl');
    beforeEach(() => rmSync(file, { force: true }));
    after(remove);

    const lines = async (tail: LineTail): Promise<readonly string[]> => (await tail.read()).lines;

    it('has nothing to tell of a file that does not exist yet', async () => {
        const tail = new LineTail(file);
        assert.deepEqual(await tail.read(), { lines: [], restarted: false });
        writeFileSync(file, 'a\n');
        assert.deepEqual(await lines(tail), ['a']);
    });

    it('gives each line once, when its end is written', async () => {
        const tail = new LineTail(file);
        writeFileSync(file, 'one\ntw');
        assert.deepEqual(await lines(tail), ['one']);
        assert.deepEqual(await lines(tail), []);
        appendFileSync(file, 'o\nthree');
        assert.deepEqual(await lines(tail), ['two']);
        appendFileSync(file, '\n');
        assert.deepEqual(await lines(tail), ['three']);
    });

    it('is not confused by a character whose bytes arrive one by one', async () => {
        const tail = new LineTail(file);
        const read: string[] = [];
        for (const byte of Buffer.from('Σ‖y − ŷ‖²\n🙂\n')) {
            appendFileSync(file, Buffer.from([byte]));
            read.push(...(await lines(tail)));
        }
        assert.deepEqual(read, ['Σ‖y − ŷ‖²', '🙂']);
    });

    it('reads what is longer than its buffer', async () => {
        const long = 'x'.repeat(200_000);
        writeFileSync(file, `${long}\nend\n`);
        assert.deepEqual(await lines(new LineTail(file)), [long, 'end']);
    });

    it('says when the file was replaced by a shorter one, and begins again', async () => {
        const tail = new LineTail(file);
        writeFileSync(file, 'a long first line\nunfinished');
        await tail.read();
        writeFileSync(file, 'new\n');
        assert.deepEqual(await tail.read(), { lines: ['new'], restarted: true });
        rmSync(file);
        assert.deepEqual(await tail.read(), { lines: [], restarted: true });
        assert.deepEqual(await tail.read(), { lines: [], restarted: false });
    });
});

describe('collecting measurements while a run goes on', () => {
    const { folder, remove } = temporaryFolder();
    const file = path.join(folder, 'events.jsonl');
    after(remove);

    it('keeps what every layer measured, and goes on after a line that makes no sense', async () => {
        const measurement = { noise: 1, sqnr_db: 20, state: 'finite', bits_per_weight: 4.125, damping: null, fallback: null };
        const event = (sequence: number, fields: object): string => `${JSON.stringify({ sequence, time: '2026-11-22T07:06:50Z', ...fields })}\n`;
        const warnings: string[] = [];
        const log: Log = { ...silentLog, warn: (message) => warnings.push(message) };
        const live = new LiveCollector(folder, log);
        writeFileSync(file, event(1, { type: 'started', pid: 1, resumed: false }) + event(2, { type: 'layer-measured', layer: 'a', signal: 100, candidates: { 'rtn-w4a16': measurement } }));
        assert.equal(await live.update(), true);
        assert.equal(await live.update(), false);
        appendFileSync(file, '{"broken\n' + event(3, { type: 'layer-measured', layer: 'b', signal: 100, candidates: { 'rtn-w4a16': measurement, 'gptq-w4a16': measurement } }));
        assert.equal(await live.update(), true);
        assert.deepEqual(Object.keys(live.measurements.layers), ['a', 'b']);
        assert.deepEqual(live.measurements.candidates, ['rtn-w4a16', 'gptq-w4a16']);
        assert.equal(warnings.length, 1);
    });
});
