import * as vscode from 'vscode';
import { LanguageClient, TransportKind, type LanguageClientOptions, type ServerOptions as Launch } from 'vscode-languageclient/node';
import {
    filesChangedNotification, paretoEditsRequest, paretoPointsRequest, resultsNotification, runningNotification,
    type FilesChangedParams, type ParetoPointChoice, type ResultsParams, type RunningParams, type ServerOptions,
} from '../../protocol/language';
import type { Clock } from '../base/clock';
import { isVirtualWorkspace } from '../base/trust';
import { DisposableList } from '../base/events';
import { ChangedFiles } from './changedFiles';
import type { Explanations } from './explanations';
import { registerLensCommands, withoutArguments } from './lenses';
import { RecipeStatus } from './status';

export interface LanguageDependencies {
    readonly clock: Clock;
    readonly log: vscode.LogOutputChannel;
    readonly explanations: Promise<Explanations | undefined>;
}

/** The recipe's language in the editor. What runs and results there are is told to it as full snapshots, at any time. */
export class RecipeLanguage {
    private results: ResultsParams = { results: {} };
    private running: RunningParams = { recipes: {} };
    private readonly life = new DisposableList();
    /** Changes of the server's state happen one after the other. */
    private turn: Promise<void> = Promise.resolve();

    constructor(
        private readonly client: LanguageClient,
        private readonly dependencies: LanguageDependencies,
    ) {}

    async start(): Promise<void> {
        const { clock, log } = this.dependencies;
        await this.client.start();
        this.sendSnapshots();
        this.life.add(new RecipeStatus(this.client));
        this.life.add(registerLensCommands());
        this.life.add(new ChangedFiles(clock, (uris) => this.send(filesChangedNotification, { uris } satisfies FilesChangedParams)));
        this.life.add(vscode.workspace.onDidChangeConfiguration((event) => {
            if (event.affectsConfiguration('quant.codeLens.enabled')) this.restart();
        }));
        this.life.add(vscode.workspace.onDidGrantWorkspaceTrust(() => this.restart()));
        log.debug('the language server has started');
    }

    setResults(results: ResultsParams): void {
        if (JSON.stringify(results) === JSON.stringify(this.results)) return;
        this.results = results;
        this.send(resultsNotification, results);
    }

    setRunning(running: RunningParams): void {
        if (JSON.stringify(running) === JSON.stringify(this.running)) return;
        this.running = running;
        this.send(runningNotification, running);
    }

    /** What the recipe could become by the last run's front. */
    async paretoPoints(recipe: vscode.Uri): Promise<readonly ParetoPointChoice[]> {
        return (await this.client.sendRequest<ParetoPointChoice[] | null>(paretoPointsRequest, { uri: recipe.toString() })) ?? [];
    }

    /** undefined: it has changed too much. */
    async paretoEdits(recipe: vscode.Uri, point: number): Promise<vscode.TextEdit[] | undefined> {
        const edits = await this.client.sendRequest<Parameters<LanguageClient['protocol2CodeConverter']['asTextEdits']>[0]>(paretoEditsRequest, { uri: recipe.toString(), point });
        return edits ? this.client.protocol2CodeConverter.asTextEdits(edits) : undefined;
    }

    async stop(): Promise<void> {
        this.life.dispose();
        await this.turn;
        await this.client.dispose();
    }

    /** Which lenses are offered is fixed when a server starts. */
    private restart(): void {
        this.turn = this.turn.then(() => this.client.restart()).then(() => this.sendSnapshots());
        this.turn = this.turn.catch((error: unknown) => this.dependencies.log.error(`the language server did not restart: ${String(error)}`));
    }

    private sendSnapshots(): void {
        this.send(resultsNotification, this.results);
        this.send(runningNotification, this.running);
    }

    /** A server that is not there gets the newest snapshot when it comes. */
    private send(method: string, params: object): void {
        if (!this.client.isRunning()) return;
        this.client.sendNotification(method, params).catch((error: unknown) => this.dependencies.log.warn(`${method}: ${String(error)}`));
    }
}

/** Starts the language server. Nothing waits for it; recipes are text until it answers. */
export async function startLanguageClient(context: vscode.ExtensionContext, dependencies: LanguageDependencies): Promise<RecipeLanguage> {
    const diagnosticsUrl = (await dependencies.explanations)?.url ?? '';
    const options: LanguageClientOptions = {
        documentSelector: [{ language: 'quant-recipe' }],
        outputChannel: dependencies.log,
        middleware: { provideCodeLenses: async (document, token, next) => withoutArguments((await next(document, token)) ?? []) },
        initializationOptions: (): ServerOptions => ({
            schemaPath: vscode.Uri.joinPath(context.extensionUri, 'schemas', 'recipe.schema.json').fsPath,
            codeLens: vscode.workspace.getConfiguration('quant').get('codeLens.enabled', true),
            canRun: vscode.workspace.isTrusted && !isVirtualWorkspace(),
            choosePoint: true,
            diagnosticsUrl,
            l10nUri: vscode.l10n.uri?.toString(),
        }),
    };
    const module = vscode.Uri.joinPath(context.extensionUri, 'dist', 'server.js').fsPath;
    const launch: Launch = {
        run: { module, transport: TransportKind.ipc },
        debug: { module, transport: TransportKind.ipc, options: { execArgv: ['--nolazy', '--inspect=6013'] } },
    };
    const language = new RecipeLanguage(new LanguageClient('quant', vscode.l10n.t('Quant Recipes'), launch, options), dependencies);
    await language.start();
    return language;
}
