import assert from 'node:assert/strict';
import { EngineError } from '../../../src/engine/errors';
import { Supervisor, type Session } from '../../../src/engine/supervisor';
import { FakeClock, settle } from './helpers/clock';

class FakeSession implements Session {
    stops = 0;
    crash: (reason: string) => void = () => undefined;
    readonly closed = new Promise<string>((resolve) => (this.crash = resolve));

    stop(): Promise<void> {
        this.stops++;
        return Promise.resolve();
    }
}

/** A supervisor whose starts are decided by the test, one after the other. */
function setUp() {
    const clock = new FakeClock();
    const starts: { signal: AbortSignal; succeed: (session: FakeSession) => void; fail: (error: Error) => void }[] = [];
    const supervisor = new Supervisor<FakeSession>(
        (signal) => new Promise((succeed, fail) => starts.push({ signal, succeed, fail })),
        clock,
    );
    const succeed = async (): Promise<FakeSession> => {
        const session = new FakeSession();
        starts.at(-1)?.succeed(session);
        await settle();
        return session;
    };
    return { clock, starts, supervisor, succeed };
}

describe('the engine’s supervisor', () => {
    it('starts nothing until somebody needs the engine, and then once for all callers', async () => {
        const { supervisor, starts, succeed } = setUp();
        assert.equal(starts.length, 0);
        const callers = [supervisor.ready(), supervisor.ready(), supervisor.ready()];
        assert.equal(supervisor.state.kind, 'starting');
        const session = await succeed();
        assert.deepEqual(await Promise.all(callers), [session, session, session]);
        assert.equal(await supervisor.ready(), session);
        assert.equal(starts.length, 1);
    });

    it('restarts after one, two and four seconds, and gives up at the fourth crash', async () => {
        const { supervisor, starts, succeed, clock } = setUp();
        void supervisor.ready();
        for (const delay of [1000, 2000, 4000]) {
            const session = await succeed();
            session.crash('out of memory');
            await clock.advance(delay - 1);
            assert.equal(supervisor.state.kind, 'waiting');
            const before = starts.length;
            await clock.advance(1);
            assert.equal(starts.length, before + 1);
        }
        (await succeed()).crash('out of memory');
        await settle();
        assert.equal(supervisor.state.kind, 'failed');
        await assert.rejects(supervisor.ready(), /crashed 4 times.*out of memory/);
        assert.equal(clock.pending, 0);
    });

    it('lets callers wait over a restart', async () => {
        const { supervisor, starts, succeed, clock } = setUp();
        const caller = supervisor.ready();
        starts[0]?.fail(new EngineError('crashed', 'exit code 1'));
        await clock.advance(1000);
        const session = await succeed();
        assert.equal(await caller, session);
    });

    it('forgets crashes when a request was answered', async () => {
        const { supervisor, succeed, clock } = setUp();
        void supervisor.ready();
        for (let crash = 0; crash < 6; crash++) {
            const session = await succeed();
            supervisor.requestFinished();
            session.crash('segmentation fault');
            await clock.advance(1000);
            assert.equal(supervisor.state.kind, 'starting');
        }
    });

    it('forgets crashes that are more than three minutes old', async () => {
        const { supervisor, succeed, clock } = setUp();
        void supervisor.ready();
        for (let crash = 0; crash < 6; crash++) {
            const session = await succeed();
            await clock.advance(3 * 60_000);
            session.crash('segmentation fault');
            await clock.advance(1000);
            assert.equal(supervisor.state.kind, 'starting');
        }
    });

    for (const kind of ['python', 'not-found', 'protocol'] as const) {
        it(`does not try again after a final failure (${kind}), except when a person asks`, async () => {
            const { supervisor, starts, succeed, clock } = setUp();
            const caller = supervisor.ready();
            starts[0]?.fail(new EngineError(kind, 'it cannot work'));
            await assert.rejects(caller, /it cannot work/);
            await clock.advance(10 * 60_000);
            await assert.rejects(supervisor.ready(), /it cannot work/);
            assert.equal(starts.length, 1);
            const again = supervisor.start();
            const session = await succeed();
            assert.equal(await again, session);
        });
    }

    it('stops a running engine and starts a new one for the next caller', async () => {
        const { supervisor, starts, succeed } = setUp();
        void supervisor.ready();
        const session = await succeed();
        await supervisor.stop();
        assert.equal(session.stops, 1);
        assert.equal(supervisor.state.kind, 'idle');
        session.crash('ended as asked');
        await settle();
        assert.equal(supervisor.state.kind, 'idle', 'news of a superseded session must be dropped');
        void supervisor.ready();
        assert.equal(starts.length, 2);
    });

    it('stops an engine that is just starting, and tells its callers', async () => {
        const { supervisor, starts } = setUp();
        const caller = supervisor.ready();
        const stopped = supervisor.stop();
        await assert.rejects(caller, /stopped/);
        assert.equal(starts[0]?.signal.aborted, true);
        starts[0]?.fail(new EngineError('stopped', 'aborted'));
        await stopped;
        assert.equal(supervisor.state.kind, 'idle');
    });

    it('stops a session that comes to life after it was given up', async () => {
        const { supervisor, succeed } = setUp();
        supervisor.ready().catch(() => undefined);
        const stopped = supervisor.stop();
        const session = await succeed();
        await stopped;
        assert.equal(session.stops, 1);
        assert.equal(supervisor.state.kind, 'idle');
    });

    it('does not restart what was stopped while it waited to restart', async () => {
        const { supervisor, starts, clock } = setUp();
        supervisor.ready().catch(() => undefined);
        starts[0]?.fail(new EngineError('crashed', 'exit code 1'));
        await settle();
        assert.equal(supervisor.state.kind, 'waiting');
        await supervisor.stop();
        await clock.advance(60_000);
        assert.equal(starts.length, 1);
        assert.equal(supervisor.state.kind, 'idle');
    });

    it('restarts with a new session', async () => {
        const { supervisor, succeed } = setUp();
        void supervisor.ready();
        const first = await succeed();
        const restarted = supervisor.restart();
        await settle();
        const second = await succeed();
        assert.equal(await restarted, second);
        assert.equal(first.stops, 1);
        assert.notEqual(first, second);
    });
});
