import { hostname } from 'node:os';
import * as vscode from 'vscode';
import { unloadRequest } from '../../protocol/engine';
import { errorText, type Log } from '../base/log';
import { formatBytes } from '../base/text';
import type { Notifier } from '../ui/notify';
import type { Reports } from '../ui/report';
import { runCommand } from './command';
import { doctorMarkdown, examine, sourceName } from './doctor';
import type { Engine } from './engine';
import { EngineError } from './errors';
import type { PythonStatus } from './python/probe';
import { setUpFolder } from './python/providers';
import { pipCommand, setUpEnvironment } from './setUp';

export interface EngineCommandParts {
    readonly engine: Engine;
    readonly notify: Notifier;
    readonly reports: Reports;
    readonly log: Log;
    readonly version: string;
    readonly constraints: string;
    readonly storage: string;
    readonly probe: (python: string) => Promise<PythonStatus>;
}

/** The commands that act on the engine and its Python. */
export class EngineCommands {
    constructor(private readonly parts: EngineCommandParts) {}

    /** Says why the engine could not do something, with the fix next to it. */
    explain(error: unknown, attempted: string): void {
        const message = `${attempted}: ${errorText(error)}`;
        if (error instanceof EngineError && error.kind === 'python') {
            this.parts.notify.error(message, { title: vscode.l10n.t('Set Up Engine'), run: () => this.setUp() });
        } else {
            this.parts.notify.error(message);
        }
    }

    start(): Promise<void> {
        return this.attempt(vscode.l10n.t('The engine could not be started'), async (engine) => {
            await engine.start();
            await engine.refreshDevices();
        });
    }

    restart(): Promise<void> {
        return this.attempt(vscode.l10n.t('The engine could not be restarted'), async (engine) => {
            await engine.restart();
        });
    }

    stop(): Promise<void> {
        return this.attempt(vscode.l10n.t('The engine could not be stopped'), (engine) => engine.stop());
    }

    freeMemory(): Promise<void> {
        return this.attempt(vscode.l10n.t('The memory could not be freed'), async (engine) => {
            if (engine.state.kind === 'idle' || engine.state.kind === 'failed') {
                this.parts.notify.info(vscode.l10n.t('The engine is not running, so it holds no memory.'));
                return;
            }
            const { freed_bytes } = await engine.request(unloadRequest, {});
            await engine.refreshDevices();
            this.parts.notify.info(vscode.l10n.t('{0} freed.', formatBytes(freed_bytes)));
        });
    }

    async doctor(): Promise<void> {
        const { engine, notify, reports, version } = this.parts;
        await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Quant: examining the environment') }, async () => {
            engine.finder.forget();
            const found = await engine.finder.find();
            const checks = await examine({ found, engine: (...args) => engine.command(...args), run: runCommand });
            const about = `Quant Workbench ${version}, VS Code ${vscode.version}, ${process.platform} ${process.arch}, ${hostname()}`;
            const report = doctorMarkdown(checks, about);
            await reports.show('doctor', report);
            const fatal = checks.filter(({ status }) => status === 'fatal').length;
            const copy = { title: vscode.l10n.t('Copy Report'), run: () => vscode.env.clipboard.writeText(report) };
            const fix = { title: vscode.l10n.t('Set Up Engine'), run: () => this.setUp() };
            if (fatal === 0) notify.info(vscode.l10n.t('Everything that the engine needs is there.'), copy);
            else notify.warn(vscode.l10n.t('{0} checks failed; the report says what to do.', fatal), ...(found.status.kind === 'ready' ? [] : [fix]), copy);
        });
    }

    /** Chooses the interpreter by hand; the choice is a setting like any other. */
    async selectPython(): Promise<void> {
        const { engine } = this.parts;
        const { attempts } = await engine.finder.find();
        const known = attempts.map(({ candidate, status }) => ({
            label: candidate.python, description: sourceName(candidate.source), python: candidate.python,
            detail: status.kind === 'ready' ? vscode.l10n.t('Python {0}, ready', status.version) : vscode.l10n.t('not usable'),
        }));
        const picked = await vscode.window.showQuickPick(
            [
                ...known,
                { label: vscode.l10n.t('$(folder-opened) Choose an interpreter…'), python: undefined, browse: true },
                { label: vscode.l10n.t('$(discard) Find one automatically'), python: '', description: vscode.l10n.t('clears the setting') },
            ],
            { placeHolder: vscode.l10n.t('Which Python runs the engine?') },
        );
        if (!picked) return;
        const python = picked.python ?? (await vscode.window.showOpenDialog({ openLabel: vscode.l10n.t('Use This Python') }))?.[0]?.fsPath;
        if (python === undefined) return;
        await vscode.workspace.getConfiguration('quant').update('pythonPath', python || undefined, vscode.ConfigurationTarget.Global);
    }

    /** Never installs without having said what and where. */
    async setUp(): Promise<void> {
        const { notify, constraints } = this.parts;
        const bases = await this.basePythons();
        if (bases.length === 0) {
            notify.error(vscode.l10n.t('The engine needs Python 3.10 or newer, and none was found. Install one, or choose it with “Quant: Select Python”.'));
            return;
        }
        const items = bases.flatMap(({ python, version }) => [
            { label: vscode.l10n.t('Create an environment with Python {0}', version), description: python, detail: vscode.l10n.t('In the extension’s own storage; downloads the packages (torch is large)'), python, action: 'create' as const },
            { label: vscode.l10n.t('Show the pip command for Python {0}', version), description: python, detail: pipCommand(python, constraints), python, action: 'show' as const },
        ]);
        const picked = await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Set Up Engine'), placeHolder: vscode.l10n.t('How should the engine’s packages be installed?') });
        if (picked?.action === 'show') {
            const command = pipCommand(picked.python, constraints);
            notify.info(command, { title: vscode.l10n.t('Copy'), run: () => vscode.env.clipboard.writeText(command) });
        }
        if (picked?.action === 'create') await this.create(picked.python);
    }

    private async create(basePython: string): Promise<void> {
        const { engine, notify, constraints, storage, log } = this.parts;
        const options = { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Setting up the engine'), cancellable: true };
        const outcome = await vscode.window.withProgress(options, async (progress, token) => {
            const abort = new AbortController();
            token.onCancellationRequested(() => abort.abort());
            await engine.stop(); // It may be running from the environment that is replaced.
            return setUpEnvironment({
                basePython, constraints, log, folder: setUpFolder(storage), run: runCommand, signal: abort.signal,
                report: (message) => progress.report({ message }),
            });
        });
        engine.finder.forget();
        if (outcome.kind === 'done') notify.info(vscode.l10n.t('The engine is set up.'));
        if (outcome.kind === 'failed') notify.error(vscode.l10n.t('Setting up the engine with {0} failed: {1}', basePython, outcome.cause));
    }

    /** Interpreters that are new enough to make an environment from. */
    private async basePythons(): Promise<{ python: string; version: string }[]> {
        const { engine, probe } = this.parts;
        const { attempts } = await engine.finder.find();
        const newest = await Promise.all(['python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3'].map(probe));
        const usable = [...attempts.filter(({ candidate }) => candidate.source !== 'set-up').map(({ status }) => status), ...newest]
            .flatMap((status) => (status.kind === 'ready' || status.kind === 'packages-missing' ? [status] : []));
        return usable.filter((status, index) => usable.findIndex(({ version }) => version === status.version) === index);
    }

    private async attempt(attempted: string, action: (engine: Engine) => Promise<void>): Promise<void> {
        try {
            await action(this.parts.engine);
        } catch (error) {
            if (!(error instanceof EngineError && error.kind === 'stopped')) this.explain(error, attempted);
        }
    }
}
