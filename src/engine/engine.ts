import type { RequestParam, RequestType } from 'vscode-jsonrpc/node';
import * as l10n from '@vscode/l10n';
import type { Devices } from '../../protocol/generated/protocol';
import { devicesRequest } from '../../protocol/engine';
import type { Clock } from '../base/clock';
import { Emitter, type Disposable } from '../base/events';
import type { Log } from '../base/log';
import { EngineClient } from './client';
import { EngineError } from './errors';
import { spawnEngine } from './process';
import type { Found, PythonFinder } from './python/finder';
import { pythonProblem } from './python/explain';
import { Supervisor, type SupervisorState } from './supervisor';

export type EngineState = SupervisorState<EngineClient>;

/** How to start Python with the engine on its path. */
export interface EngineLauncher {
    /** Arguments for the interpreter, before `-m quant_engine`. */
    readonly pythonArguments: () => readonly string[];
    readonly env: () => Readonly<Record<string, string | undefined>>;
    readonly serveArguments: () => readonly string[];
}

/** The resident engine as the rest of the extension sees it: started when first needed, asked with typed requests. */
export class Engine implements Disposable {
    private readonly supervisor: Supervisor<EngineClient>;
    private readonly devicesChanged = new Emitter<Devices | undefined>();
    private knownDevices: Devices | undefined;

    readonly onState: Supervisor<EngineClient>['onState'];
    readonly onDevices = this.devicesChanged.event;

    constructor(
        readonly finder: PythonFinder,
        private readonly launcher: EngineLauncher,
        private readonly clock: Clock,
        private readonly log: Log,
    ) {
        this.supervisor = new Supervisor((signal) => this.open(signal), clock);
        this.onState = this.supervisor.onState;
        this.onState((state) => {
            log.info(`engine: ${state.kind}${state.kind === 'ready' ? ` (pid ${state.session.hello.pid})` : ''}`);
            if (state.kind === 'failed') log.error(`engine: ${state.error.message}`);
        });
    }

    get state(): EngineState {
        return this.supervisor.state;
    }

    get devices(): Devices | undefined {
        return this.knownDevices;
    }

    /** The command line that runs the engine, for runs and other one-off processes. Throws when there is no usable Python. */
    async command(...args: string[]): Promise<{ file: string; args: string[]; env: Readonly<Record<string, string | undefined>> }> {
        const found = await this.finder.find();
        if (found.status.kind !== 'ready') throw new EngineError('python', pythonProblem(found.status));
        return { file: found.status.python, args: [...this.launcher.pythonArguments(), '-m', 'quant_engine', ...args], env: this.launcher.env() };
    }

    /** Sends a request, starting the engine when it is idle. */
    async request<P, R>(type: RequestType<P, R, void>, params: RequestParam<P>): Promise<R> {
        const client = await this.supervisor.ready();
        const answer = await client.request(type, params);
        this.supervisor.requestFinished();
        return answer;
    }

    /** Imports torch in the engine, so only where somebody asked for it. */
    async refreshDevices(): Promise<Devices> {
        this.knownDevices = await this.request(devicesRequest, {});
        this.devicesChanged.fire(this.knownDevices);
        return this.knownDevices;
    }

    start(): Promise<EngineClient> {
        return this.supervisor.start();
    }

    restart(): Promise<EngineClient> {
        this.finder.forget();
        return this.supervisor.restart();
    }

    stop(): Promise<void> {
        return this.supervisor.stop();
    }

    /** After a change of settings: a running engine is replaced only when another interpreter results. */
    async reconsider(): Promise<Found> {
        const before = await this.finder.find();
        this.finder.forget();
        const after = await this.finder.find();
        const same = before.status.kind === after.status.kind && before.status.python === after.status.python;
        if (!same && this.state.kind !== 'idle') {
            if (after.status.kind === 'ready') await this.restart();
            else await this.stop();
        }
        return after;
    }

    dispose(): void {
        this.supervisor.dispose();
        this.devicesChanged.dispose();
    }

    private async open(signal: AbortSignal): Promise<EngineClient> {
        const { file, args, env } = await this.command('serve', ...this.launcher.serveArguments());
        if (signal.aborted) throw new EngineError('stopped', l10n.t('The engine was stopped while it started.'));
        this.log.info(`engine: starting ${file} ${args.join(' ')}`);
        return EngineClient.open(spawnEngine({ file, args, env }, this.log), { clock: this.clock, log: this.log, signal });
    }
}
