import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/base/clock';
import { silentLog } from '../../../src/base/log';
import type { EngineCommand } from '../../../src/runs/launcher';
import { processAlive } from '../../../src/runs/liveness';
import { RunService } from '../../../src/runs/service';
import { RunStore } from '../../../src/runs/store';
import { temporaryFolder } from './helpers/runs';
import { until } from '../../helpers/wait';

/** Starts a script of Node where the engine's command line would be; it finds the engine's arguments behind its own. */
const running = (script: string): EngineCommand => (...args) => Promise.resolve({ file: process.execPath, args: ['-e', script, '--', ...args], env: { MARK: 'set' } });

describe('starting runs', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);

    function setUp(engine: EngineCommand) {
        const store = new RunStore({ discover: () => Promise.resolve([]), alive: processAlive, clock: systemClock, log: silentLog });
        const stillborn: string[] = [];
        const service = new RunService({
            store, engine, alive: processAlive, clock: systemClock, log: silentLog, offerToStop: () => undefined, stillborn: (_recipe, cause) => stillborn.push(cause),
        });
        const dispose = (): void => {
            service.dispose();
            store.dispose();
        };
        return { store, service, stillborn, dispose };
    }

    function recipe(name: string): string {
        const file = path.join(folder, name, 'a.quant.yaml');
        mkdirSync(path.dirname(file));
        writeFileSync(file, 'model: x\n');
        return file;
    }

    it('makes the directory, names it to the process, and sends all output to its log', async () => {
        const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env.MARK, process.cwd()])); console.error("words"); setTimeout(() => {}, 300)';
        const { service, store, dispose } = setUp(running(script));
        const file = recipe('normal');
        const run = await service.start(file);
        assert.equal(path.dirname(run.directory), path.join(folder, 'normal', 'runs'));
        const log = path.join(run.directory, 'engine.log');
        const text = await until('the log', () => {
            const written = existsSync(log) ? readFileSync(log, 'utf8') : '';
            return written.includes('words') ? written : '';
        });
        assert.deepEqual(JSON.parse(text.split('\n')[0] ?? ''), [['run', file, '--id', run.id], 'set', path.dirname(file)]);
        assert.equal(store.get(run.directory)?.state, 'starting');
        await until('the end', () => store.all.length === 0);
        dispose();
    });

    it('measures alone when it is told so', async () => {
        const { service, dispose } = setUp(running('console.log(JSON.stringify(process.argv.slice(1))); setTimeout(() => {}, 300)'));
        const file = recipe('sensitivity');
        const { directory } = await service.start(file, undefined, 'sensitivity');
        const text = await until('the log', () => readFileSync(path.join(directory, 'engine.log'), 'utf8'));
        assert.deepEqual((JSON.parse(text) as string[]).slice(0, 2), ['sensitivity', file]);
        dispose();
    });

    it('leaves nothing of a process that ended before it became a run, and passes on its words', async () => {
        const script = 'console.error("a.quant.yaml:3:9: error: no file at \\"x.jsonl\\" [data-missing]"); process.exit(2)';
        const { service, stillborn, store, dispose } = setUp(running(script));
        const file = recipe('stillborn');
        await service.start(file);
        await until('the news', () => stillborn.length > 0);
        assert.deepEqual(stillborn, ['line 3: no file at "x.jsonl"']);
        assert.equal(existsSync(path.join(path.dirname(file), 'runs')), false);
        assert.deepEqual(store.all, []);
        dispose();
    });

    it('is silent about a process that was cancelled before it became a run', async () => {
        const { service, stillborn, store, dispose } = setUp(running('setTimeout(() => {}, 60_000)'));
        const file = recipe('cancelled');
        const run = await service.start(file);
        assert.equal(await service.cancel(run), 'asked');
        await until('the end', () => store.all.length === 0);
        await until('the directory to go', () => !existsSync(path.join(path.dirname(file), 'runs')));
        assert.deepEqual(stillborn, []);
        dispose();
    });

    it('says why when the process cannot even be started', async () => {
        const { service, stillborn, dispose } = setUp(() => Promise.resolve({ file: '/nowhere/python', args: [], env: {} }));
        await service.start(recipe('impossible'));
        await until('the news', () => stillborn.length > 0);
        assert.match(stillborn[0] ?? '', /ENOENT/);
        dispose();
    });

    it('gives two runs of the same second two directories', async () => {
        const { service, store, dispose } = setUp(running('setTimeout(() => {}, 200)'));
        const file = recipe('twice');
        const [first, second] = await Promise.all([service.start(file), service.start(file)]);
        assert.notEqual(first.directory, second.directory);
        await until('the end', () => store.all.length === 0);
        dispose();
    });

    it('makes no directory when there is no engine', async () => {
        const { service, dispose } = setUp(() => Promise.reject(new Error('no Python')));
        const file = recipe('no-engine');
        await assert.rejects(service.start(file), /no Python/);
        assert.equal(existsSync(path.join(path.dirname(file), 'runs')), false);
        dispose();
    });
});
