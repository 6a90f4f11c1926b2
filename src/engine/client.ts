import * as l10n from '@vscode/l10n';
import {
    CancellationToken, createMessageConnection, ErrorCodes, ResponseError, StreamMessageReader, StreamMessageWriter, type MessageConnection, type RequestParam, type RequestType,
} from 'vscode-jsonrpc/node';
import { helloRequest, PROTOCOL_VERSION, shutdownRequest } from '../../protocol/engine';
import type { Hello } from '../../protocol/generated/protocol';
import type { Clock } from '../base/clock';
import { errorText, type Log } from '../base/log';
import { EngineError, type EngineErrorKind } from './errors';
import { stopProcess, type EngineProcess, type Exit } from './process';
import type { Session } from './supervisor';

export interface ClientOptions {
    readonly clock: Clock;
    readonly log: Log;
    readonly signal: AbortSignal;
    /** Python on a cold, busy disk is slow; longer than this means that nobody is there. */
    readonly helloTimeout?: number;
}

/** One conversation with one engine process. Exists only after the engine answered `hello`. */
export class EngineClient implements Session {
    readonly closed: Promise<string>;

    private constructor(
        private readonly process: EngineProcess,
        private readonly connection: MessageConnection,
        private readonly clock: Clock,
        readonly hello: Hello,
    ) {
        this.closed = process.exited.then((exit) => describeExit(exit, process.lastWords()));
        // Pending requests are rejected when the process goes, also by a kill that leaves the pipe open in a grandchild.
        void process.exited.then(() => connection.dispose());
    }

    /** Says hello to a process that was just spawned. The process is stopped when that fails. */
    static async open(process: EngineProcess, { clock, log, signal, helloTimeout = 30_000 }: ClientOptions): Promise<EngineClient> {
        const connection = createMessageConnection(new StreamMessageReader(process.stdout), new StreamMessageWriter(process.stdin), {
            error: (message) => log.error(message), warn: (message) => log.warn(message),
            info: (message) => log.info(message), log: (message) => log.debug(message),
        });
        connection.onError(([error]) => log.warn(`engine connection: ${error.message}`));
        connection.listen();
        try {
            const hello = await sayHello(process, connection, { clock, signal, helloTimeout });
            return new EngineClient(process, connection, clock, hello);
        } catch (error) {
            connection.dispose();
            await stopProcess(process, () => process.stdin.end(), clock);
            throw error;
        }
    }

    async request<P, R>(type: RequestType<P, R, void>, params: RequestParam<P>, token = CancellationToken.None): Promise<R> {
        try {
            // By name: the message types of two bundles (tests have their own) are not the same objects.
            return await this.connection.sendRequest<R>(type.method, params, token);
        } catch (error) {
            // An answer that says no is the engine's own word; anything else means that there is no engine any more.
            if (isRefusal(error)) throw error;
            throw new EngineError('crashed', errorText(error));
        }
    }

    stop(): Promise<void> {
        return stopProcess(this.process, () => void this.connection.sendRequest(shutdownRequest, {}).catch(() => undefined), this.clock);
    }
}

interface HelloOptions {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly helloTimeout: number;
}

async function sayHello(process: EngineProcess, connection: MessageConnection, options: HelloOptions): Promise<Hello> {
    const hello = await firstOutcome(process, connection, options);
    if (hello.protocol !== PROTOCOL_VERSION) {
        const message = l10n.t('The engine speaks protocol {0}, this extension {1}. Run “Quant: Set Up Engine”.', hello.protocol, PROTOCOL_VERSION);
        throw new EngineError('protocol', message);
    }
    return hello;
}

/** The answer, unless the process ends, the caller gives up or the time is over first. */
function firstOutcome(process: EngineProcess, connection: MessageConnection, { clock, signal, helloTimeout }: HelloOptions): Promise<Hello> {
    return new Promise((resolve, reject) => {
        const fail = (kind: EngineErrorKind, message: string): void => reject(new EngineError(kind, message));
        const exited = (exit: Exit): void => fail(exit.notFound ? 'not-found' : 'crashed', describeExit(exit, process.lastWords()));
        const stopped = (): void => fail('stopped', l10n.t('The engine was stopped while it started.'));
        const timer = clock.after(helloTimeout, () => fail('no-hello', l10n.t('The engine did not answer within {0} seconds.', helloTimeout / 1000)));
        if (signal.aborted) stopped();
        signal.addEventListener('abort', stopped, { once: true });
        void process.exited.then(exited);
        const answered = connection.sendRequest(helloRequest, { protocol: PROTOCOL_VERSION, client: 'quant-workbench' });
        answered.finally(() => timer.dispose()).then(resolve, (error: unknown) => {
            // Only the engine itself can say no. A broken pipe is reported by the exit that follows it, which knows the cause.
            if (isRefusal(error)) fail('protocol', error.message);
        });
    });
}

/** Whether an error is an answer of the engine; what the connection itself makes up when it ends is none. */
function isRefusal(error: unknown): error is ResponseError<unknown> {
    return error instanceof ResponseError && error.code !== ErrorCodes.PendingResponseRejected;
}

function describeExit(exit: Exit, words: string): string {
    if (exit.notFound) return l10n.t('Python could not be started: the interpreter does not exist.');
    const cause = words.trim().split('\n').at(-1) ?? '';
    const how = exit.signal !== undefined ? l10n.t('The engine was ended by {0}.', exit.signal) : l10n.t('The engine ended with exit code {0}.', exit.exitCode ?? '?');
    return cause ? `${how} ${cause}` : how;
}
