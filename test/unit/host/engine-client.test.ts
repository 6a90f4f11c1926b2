import assert from 'node:assert/strict';
import { devicesRequest } from '../../../protocol/engine';
import { systemClock } from '../../../src/base/clock';
import { silentLog } from '../../../src/base/log';
import { EngineClient } from '../../../src/engine/client';
import { EngineError } from '../../../src/engine/errors';
import { spawnEngine, type EngineProcess } from '../../../src/engine/process';
import { FAKE_ENGINE } from './helpers/fake-engine';
import { alive, until } from '../../helpers/wait';

const never = new AbortController().signal;

function spawnFake(behaviour: string): EngineProcess {
    return spawnEngine({ file: process.execPath, args: ['-e', FAKE_ENGINE, behaviour], env: {} }, silentLog);
}

function open(process: EngineProcess, options: { signal?: AbortSignal; helloTimeout?: number } = {}): Promise<EngineClient> {
    return EngineClient.open(process, { clock: systemClock, log: silentLog, signal: never, ...options });
}

const failure = (kind: string, message: RegExp) => (error: unknown) =>
    error instanceof EngineError && error.kind === kind && message.test(error.message);

describe('a conversation with an engine process', () => {
    it('is there when hello was answered, and carries typed requests', async () => {
        const client = await open(spawnFake('good'));
        assert.equal(client.hello.engine, '0.0.1');
        assert.equal((await client.request(devicesRequest, {})).process_bytes, 5);
        await client.stop();
        assert.equal(alive(client.hello.pid), false);
        assert.match(await client.closed, /exit code 0/);
    });

    it('tells a missing interpreter from a crash', async () => {
        const process = spawnEngine({ file: '/nowhere/python3', args: [], env: {} }, silentLog);
        await assert.rejects(open(process), failure('not-found', /does not exist/));
    });

    it('says what a process wrote before it died', async () => {
        await assert.rejects(open(spawnFake('dies')), failure('crashed', /exit code 3.*no torch/));
    });

    it('refuses another protocol, and leaves no process behind', async () => {
        const process = spawnFake('other-protocol');
        await assert.rejects(open(process), failure('protocol', /protocol 99/));
        assert.equal(alive(process.pid ?? 0), false);
    });

    it('gives up on a process that does not say hello, and leaves none behind', async () => {
        const process = spawnFake('silent');
        await assert.rejects(open(process, { helloTimeout: 200 }), failure('no-hello', /did not answer/));
        assert.equal(alive(process.pid ?? 0), false);
    });

    it('can be called off while it starts', async () => {
        const abort = new AbortController();
        const process = spawnFake('silent');
        const opening = open(process, { signal: abort.signal });
        abort.abort();
        await assert.rejects(opening, failure('stopped', /stopped/));
        assert.equal(alive(process.pid ?? 0), false);
    });

    it('passes on the engine’s own refusal as it is', async () => {
        const client = await open(spawnFake('refuses'));
        await assert.rejects(client.request(devicesRequest, {}), (error) => error instanceof Error && !(error instanceof EngineError) && error.message === 'no device');
        await client.stop();
    });

    it('rejects pending requests when the process is killed, and says so', async () => {
        const client = await open(spawnFake('crashes'));
        await assert.rejects(client.request(devicesRequest, {}), failure('crashed', /./));
        assert.match(await client.closed, /SIGKILL/);
    });

    it('ends a process that ignores everything, with all that it started', async () => {
        const process = spawnFake('stubborn');
        const client = await open(process);
        const child = Number(await until('the grandchild', () => /child (\d+)/.exec(process.lastWords())?.[1]));
        assert.ok(alive(child));
        await client.stop();
        assert.equal(alive(client.hello.pid), false);
        await until('the grandchild to be gone', () => !alive(child));
    });
});
