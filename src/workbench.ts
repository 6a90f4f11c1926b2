import * as vscode from 'vscode';
import { systemClock } from './base/clock';
import { DisposableList } from './base/events';
import { errorText } from './base/log';
import { isVirtualWorkspace } from './base/trust';
import { QuantizeCommand } from './checkpoints/quantize/command';
import { CheckpointRegistry } from './checkpoints/registry';
import { registerCommands } from './commandTable';
import { createEnginePart, type EnginePart } from './enginePart';
import { PanelActions } from './panels/actions';
import { SensitivityPanels } from './panels/panels';
import { RunDeletion } from './runs/deletion';
import { RunDiagnostics } from './runs/diagnostics';
import { discoverRuns, watchRuns } from './runs/discover';
import { estimate } from './runs/estimate';
import { Explanations } from './recipe/explanations';
import { startLanguageClient, type RecipeLanguage } from './recipe/client';
import { replaceRules } from './recipe/replaceRules';
import { processAlive } from './runs/liveness';
import { resultsSnapshot, runningSnapshot } from './runs/publish';
import { RunPlaces } from './runs/places';
import type { Target } from './runs/select';
import { RunStore } from './runs/store';
import { RunTree } from './runs/tree';
import { Notifier } from './ui/notify';
import { Reports } from './ui/report';

/** What tests see of the extension. */
export interface WorkbenchApi {
    /** Resolves when checkpoints and runs of the workspace were looked for. */
    readonly searched: Promise<void>;
    readonly checkpoints: CheckpointRegistry;
    readonly runs: RunStore;
    readonly panels: SensitivityPanels;
    /** undefined in an untrusted or virtual workspace. */
    readonly engine: () => EnginePart | undefined;
}

/** The parts of the extension, and when each of them lives: with the extension, or only where processes may be started. */
export class Workbench {
    private readonly extensionLife = new DisposableList();
    private enginePart: EnginePart | undefined;
    private readonly log: vscode.LogOutputChannel;
    private readonly notify: Notifier;
    private readonly reports: Reports;
    private readonly store: RunStore;
    private readonly checkpoints: CheckpointRegistry;
    private readonly panels: SensitivityPanels;
    private readonly actions: PanelActions;
    private readonly places: RunPlaces;
    private readonly deletion: RunDeletion;
    private view: vscode.TreeView<string> | undefined;
    private readonly explanations: Promise<Explanations | undefined>;
    private readonly diagnostics: RunDiagnostics;
    /** undefined until the first recipe is opened: a window without one needs no server. */
    private language: Promise<RecipeLanguage | undefined> | undefined;
    private searched: Promise<void> = Promise.resolve();

    constructor(private readonly context: vscode.ExtensionContext) {
        const own = <T extends { dispose(): void }>(item: T): T => this.extensionLife.add(item);
        this.log = own(vscode.window.createOutputChannel('Quant Workbench', { log: true }));
        this.notify = new Notifier(this.log);
        this.reports = own(new Reports());
        this.store = own(new RunStore({ discover: discoverRuns, alive: processAlive, clock: systemClock, log: this.log }));
        this.checkpoints = own(new CheckpointRegistry(systemClock, this.log));
        this.explanations = Explanations.read(context.extensionUri);
        this.diagnostics = own(new RunDiagnostics(this.store, this.log, this.explanations));
        this.places = new RunPlaces(this.store, this.notify);
        this.deletion = new RunDeletion(this.store, this.notify, () => this.view?.selection[0], (directory) => {
            this.panels.get(directory)?.panel.dispose();
        });
        this.actions = new PanelActions(this.store, this.notify, this.places, () => this.enginePart?.runCommands);
        this.panels = own(new SensitivityPanels({
            extensionUri: context.extensionUri, store: this.store, clock: systemClock, log: this.log, act: (message, run) => this.actions.act(this.panels, message, run),
        }));
    }

    get api(): WorkbenchApi {
        return { searched: this.searched, checkpoints: this.checkpoints, runs: this.store, panels: this.panels, engine: () => this.enginePart };
    }

    start(): void {
        const own = <T extends { dispose(): void }>(item: T): T => this.extensionLife.add(item);
        // First of all: until it has answered, the explorer's menu lacks its item.
        const checkpoints = this.checkpoints.first();
        own(registerCommands<EnginePart>({
            parts: () => this.enginePart, always: this.alwaysCommands(), whenOn: this.engineCommands(), whenOff: () => this.explainOff(),
            failed: (command, error) => this.notify.error(vscode.l10n.t('{0} failed: {1}', command, errorText(error))),
        }));
        this.view = own(vscode.window.createTreeView('quant.runs', { treeDataProvider: own(new RunTree(this.store)) }));
        own(watchRuns(this.store, systemClock));
        own(this.store.onChange(() => this.publishRuns()));
        own(vscode.workspace.onDidGrantWorkspaceTrust(() => this.startEnginePart()));
        this.startEnginePart();
        own(vscode.workspace.onDidOpenTextDocument((document) => this.startLanguage(document)));
        vscode.workspace.textDocuments.forEach((document) => this.startLanguage(document));
        // Nobody waits for a search of the workspace: commands work at once.
        this.searched = Promise.all([this.store.refresh(), checkpoints.searched]).then(() => this.publishRuns());
        this.searched.catch((error: unknown) => this.log.error(`first search: ${String(error)}`));
    }

    /** The engine is stopped; runs go on by themselves. */
    async stop(): Promise<void> {
        const language = this.language?.then((started) => started?.stop()).catch((error: unknown) => this.log.warn(`the language server: ${errorText(error)}`));
        await Promise.all([this.enginePart?.engine.stop(), language]);
        this.enginePart?.life.dispose();
        this.enginePart = undefined;
        this.extensionLife.dispose();
    }

    /** In every workspace: the server only reads. A recipe is text until it has started; the rest works without it. */
    private startLanguage({ languageId }: vscode.TextDocument): void {
        if (this.language || languageId !== 'quant-recipe') return;
        this.language = startLanguageClient(this.context, { clock: systemClock, log: this.log, explanations: this.explanations }).catch((error: unknown) => {
            this.log.error(`the language server did not start: ${errorText(error)}`);
            return undefined;
        });
        this.publishRuns();
    }

    private startEnginePart(): void {
        if (this.enginePart || !vscode.workspace.isTrusted || isVirtualWorkspace()) return;
        this.enginePart = createEnginePart({
            context: this.context, log: this.log, notify: this.notify, reports: this.reports, store: this.store, places: this.places,
            checkpoints: this.checkpoints, openResults: (run) => this.panels.show(run), visible: (run) => this.panels.visible(run.directory),
            showFindings: (recipe, findings) => {
                this.diagnostics.showFindings(recipe, findings).catch((error: unknown) => this.log.error(`findings of ${recipe.toString()}: ${errorText(error)}`));
            },
        });
    }

    private alwaysCommands(): Parameters<typeof registerCommands>[0]['always'] {
        return {
            'quant.openResults': (target?: Target) => this.actions.openResults(this.panels, target),
            'quant.openRunRecipe': (target?: Target) => this.places.openRecipe(target),
            'quant.showRunLog': (target?: Target) => this.places.showLog(target),
            'quant.revealRun': (target?: Target) => this.places.revealRun(target),
            'quant.revealCheckpoint': (target?: Target) => this.places.revealCheckpoint(target),
            'quant.deleteRun': (target?: Target) => this.deletion.run(target),
            'quant.replaceRules': async (target?: Target) => replaceRules(await this.language, this.notify, target),
            'quant.refreshRuns': () => this.store.refresh(),
            'quant.showLog': () => this.log.show(),
            'quant.showDocumentation': () =>
                vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.joinPath(this.context.extensionUri, 'docs', 'README.md')),
            'quant.copyTableCsv': () => this.panels.active?.copyTable('csv'),
        };
    }

    private engineCommands(): Parameters<typeof registerCommands<EnginePart>>[0]['whenOn'] {
        const schema = vscode.Uri.joinPath(this.context.extensionUri, 'schemas', 'recipe.schema.json');
        const quantize = new QuantizeCommand(this.checkpoints, schema, this.notify);
        return {
            'quant.quantize': () => (uri?: vscode.Uri, selected?: vscode.Uri[]) => quantize.run(uri, selected),
            'quant.runRecipe': ({ runCommands }) => (target?: Target) => runCommands.run(target),
            'quant.measureSensitivity': ({ runCommands }) => (target?: Target) => runCommands.measure(target),
            'quant.estimate': (part) => (target?: Target) => estimate(part.estimate, target),
            'quant.cancelRun': ({ runCommands }) => (target?: Target) => runCommands.cancel(target),
            'quant.stopRun': ({ runCommands }) => (target?: Target) => runCommands.stop(target),
            'quant.resumeRun': ({ runCommands }) => (target?: Target) => runCommands.resume(target),
            'quant.showFault': ({ faults }) => () => faults.latest && this.places.showFault(faults.latest),
            'quant.setUpEngine': ({ engineCommands }) => () => engineCommands.setUp(),
            'quant.selectPython': ({ engineCommands }) => () => engineCommands.selectPython(),
            'quant.startEngine': ({ engineCommands }) => () => engineCommands.start(),
            'quant.restartEngine': ({ engineCommands }) => () => engineCommands.restart(),
            'quant.stopEngine': ({ engineCommands }) => () => engineCommands.stop(),
            'quant.freeMemory': ({ engineCommands }) => () => engineCommands.freeMemory(),
            'quant.doctor': ({ engineCommands }) => () => engineCommands.doctor(),
        };
    }

    private explainOff(): void {
        if (isVirtualWorkspace()) {
            this.notify.info(vscode.l10n.t('The engine needs files on this machine; a virtual workspace has none.'));
            return;
        }
        const trust = { title: vscode.l10n.t('Manage Trust'), run: () => vscode.commands.executeCommand('workbench.trust.manage') };
        this.notify.warn(vscode.l10n.t('Nothing is started in a workspace that is not trusted: loading a checkpoint can execute code.'), trust);
    }

    private publishRuns(): void {
        const { all, active } = this.store;
        void vscode.commands.executeCommand('setContext', 'quant.runningCount', active.length);
        const uriOf = (file: string): string => vscode.Uri.file(file).toString();
        const [results, running] = [resultsSnapshot(all, uriOf), runningSnapshot(all, uriOf)];
        void this.language?.then((language) => {
            language?.setResults(results);
            language?.setRunning(running);
        });
    }
}
