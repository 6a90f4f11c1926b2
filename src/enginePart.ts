import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { systemClock } from './base/clock';
import { DisposableList } from './base/events';
import type { CheckpointRegistry } from './checkpoints/registry';
import { runCommand } from './engine/command';
import { EngineCommands } from './engine/commands';
import { Engine } from './engine/engine';
import { PythonFinder } from './engine/python/finder';
import { probePython, type PythonStatus } from './engine/python/probe';
import { pythonProviders } from './engine/python/providers';
import { readRequirements } from './engine/python/requirements';
import { showStatus } from './engine/statusBar';
import { RunCommands } from './runs/commands';
import type { EstimateParts } from './runs/estimate';
import { RunFaults } from './runs/faults';
import { processAlive } from './runs/liveness';
import { noticeEnds, noticeStillborn, type NoticeActions, type StillbornActions } from './runs/notices';
import type { RunPlaces } from './runs/places';
import { RunProgress } from './runs/progress';
import { RunService } from './runs/service';
import type { RunStore } from './runs/store';
import type { Notifier } from './ui/notify';
import type { Reports } from './ui/report';

/** Everything that starts processes: it exists only in a trusted workspace on a real file system. */
export interface EnginePart {
    readonly engine: Engine;
    readonly engineCommands: EngineCommands;
    readonly service: RunService;
    readonly runCommands: RunCommands;
    readonly progress: RunProgress;
    readonly estimate: EstimateParts;
    readonly faults: RunFaults;
    readonly life: DisposableList;
}

export interface EnginePartInput {
    readonly context: vscode.ExtensionContext;
    readonly log: vscode.LogOutputChannel;
    readonly notify: Notifier;
    readonly reports: Reports;
    readonly store: RunStore;
    readonly places: RunPlaces;
    readonly checkpoints: CheckpointRegistry;
    readonly openResults: NoticeActions['openResults'];
    readonly visible: NoticeActions['visible'];
    readonly showFindings: StillbornActions['showFindings'];
}

export function createEnginePart({ context, log, notify, reports, store, places, checkpoints, openResults, visible, showFindings }: EnginePartInput): EnginePart {
    const life = new DisposableList();
    const enginePath = context.asAbsolutePath('engine');
    const probe = pythonProbe(enginePath);
    const engine = life.add(createEngine(context, log, enginePath, probe));
    const engineCommands = new EngineCommands({
        engine, notify, reports, log, probe, version: String((context.extension.packageJSON as { version?: unknown }).version),
        constraints: path.join(enginePath, 'constraints.txt'), storage: context.globalStorageUri.fsPath,
    });
    const faults = life.add(new RunFaults(store));
    const service = life.add(new RunService({
        store, log, engine: (...args) => engine.command(...args), alive: processAlive, clock: systemClock,
        offerToStop: (run) => runCommands.offerToStop(run),
        stillborn: (recipe, cause, output) => noticeStillborn(vscode.Uri.file(recipe), cause, output, notify, {
            faults, showFindings, showProblem: (uri, finding) => places.showFinding(uri, finding),
        }),
    }));
    const progress = life.add(new RunProgress(store));
    const runCommands = new RunCommands({ store, service, progress, notify, explain: (error, attempted) => engineCommands.explain(error, attempted) });
    life.add(noticeEnds(store, notify, {
        openResults, visible,
        openRecipe: (run) => places.openRecipe(run.directory),
        showLog: (run) => places.showLog(run.directory),
        resume: (run) => runCommands.resume(run.directory),
    }));
    life.add(showStatus(engine, store, checkpoints, faults));
    life.add(vscode.workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration('quant.pythonPath') && !change.affectsConfiguration('quant.engineArguments')) return;
        engine.reconsider().catch((error: unknown) => log.error(`after a change of settings: ${String(error)}`));
    }));
    const estimate: EstimateParts = {
        engine: (...args) => engine.command(...args), notify, reports, save: (recipe) => runCommands.save(recipe),
        explain: (error, attempted) => engineCommands.explain(error, attempted),
    };
    return { engine, engineCommands, service, runCommands, progress, estimate, faults, life };
}

function createEngine(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, enginePath: string, probe: (python: string) => Promise<PythonStatus>): Engine {
    const settings = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration('quant');
    const providers = pythonProviders({
        setting: () => settings().get<string>('pythonPath', ''), extension: context.extensionPath, storage: context.globalStorageUri.fsPath,
        workspaceFolders: () => (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file').map(({ uri }) => uri.fsPath),
    });
    const launcher = {
        pythonArguments: () => settings().get<string[]>('engineArguments', []), env: () => engineEnvironment(enginePath),
        serveArguments: () => ['--idle-minutes', String(settings().get<number>('idleMinutes', 10))],
    };
    return new Engine(new PythonFinder(providers, probe), launcher, systemClock, log);
}

function pythonProbe(enginePath: string): (python: string) => Promise<PythonStatus> {
    const requirements = readRequirements(readFileSync(path.join(enginePath, 'pyproject.toml'), 'utf8'));
    return (python) => probePython(python, { requirements, env: engineEnvironment(enginePath), run: runCommand });
}

/** The engine comes with the extension: it is found through the path and not installed, so the two always fit. */
function engineEnvironment(enginePath: string): Record<string, string | undefined> {
    const before = process.env.PYTHONPATH;
    return { PYTHONPATH: before ? `${enginePath}${path.delimiter}${before}` : enginePath, PYTHONUNBUFFERED: '1', PYTHONIOENCODING: 'utf-8' };
}
