import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as l10n from '@vscode/l10n';
import {
    CodeActionKind, DidChangeWatchedFilesNotification, LSPErrorCodes, ResponseError, TextDocuments, TextDocumentSyncKind,
    type CancellationToken, type Connection, type Diagnostic, type InitializeParams, type InitializeResult, type ServerCapabilities,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import {
    filesChangedNotification, resultsNotification, runningNotification,
    type ResultsParams, type RunningParams, type ServerOptions,
} from '../protocol/language';
import { RUN_FILES } from '../protocol/runs';
import { FIX_ALL } from './actions';
import { complete, folderWanted } from './complete';
import { diagnostic } from './diagnostic';
import type { Facts } from './facts';
import { hover } from './hover';
import { inlayHints } from './inlay';
import { LazyDocs } from './lazy-docs';
import { codeLenses } from './lens';
import { offsetAt } from './positions';
import { parseRecipe, type Recipe } from './recipe';
import { answerEditing, answerNames, spanOf, type Answering } from './requests';
import { RecipeSchema, type JsonSchema } from './schema';
import { translated } from './schema-texts';
import { TOKEN_MODIFIERS, TOKEN_TYPES } from './semantic';
import { documentLinks, documentSymbols, foldingRanges, type RunLink } from './structure';
import { validate } from './validate';
import { Workspace } from './workspace';

/** Long enough to join the events of one keystroke; what follows takes about as long. */
const SETTLE_MS = 10;

/** For editors that say nothing: the schema stands beside the server's folder, and nobody knows the commands of lenses. */
const DEFAULTS: ServerOptions = { schemaPath: path.resolve(path.dirname(process.argv[1] ?? ''), '../schemas/recipe.schema.json'), codeLens: false, diagnosticsUrl: '' };

/** Speaks LSP for recipes on a connection. All answers come from pure functions; this class only keeps what they need. */
export class RecipeServer {
    private readonly documents = new TextDocuments(TextDocument);
    private readonly parsed = new Map<string, { readonly version: number; readonly recipe: Recipe }>();
    private readonly pending = new Map<string, NodeJS.Timeout>();
    private schema = new RecipeSchema({});
    private workspace = this.newWorkspace();
    private options = DEFAULTS;
    private canRefresh = { hints: false, lenses: false, tokens: false };
    private can = { links: false, lazyDocs: false, watch: false };
    private readonly docs = new LazyDocs();

    constructor(private readonly connection: Connection) {}

    listen(): void {
        const { connection } = this;
        connection.onInitialize((params) => this.initialize(params));
        this.answerRequests();
        connection.onNotification(resultsNotification, ({ results }: ResultsParams) => {
            this.workspace.setResults(results);
            this.lookAgain();
            this.refreshViews();
        });
        connection.onNotification(runningNotification, ({ recipes }: RunningParams) => {
            const news = this.workspace.setRunning(recipes);
            if (news === 'outputs') this.lookAgain();
            // A lens that is drawn anew loses the click that it is just being given.
            if (news !== 'nothing') this.refreshViews();
        });
        connection.onNotification(filesChangedNotification, () => this.filesChanged());
        connection.onDidChangeWatchedFiles(() => this.filesChanged());
        connection.onInitialized(() => this.watchFiles());
        this.documents.onDidChangeContent(({ document }) => this.schedule(document.uri));
        this.documents.onDidClose(({ document }) => this.close(document.uri));
        this.documents.listen(connection);
        connection.listen();
    }

    private async initialize(params: InitializeParams): Promise<InitializeResult> {
        this.options = { ...DEFAULTS, ...(params.initializationOptions as Partial<ServerOptions> | undefined) };
        await this.speak(this.options.l10nUri);
        this.schema = new RecipeSchema(translated(JSON.parse(await readFile(this.options.schemaPath, 'utf8')) as JsonSchema));
        this.workspace = this.newWorkspace();
        const { workspace, textDocument } = params.capabilities;
        this.canRefresh = {
            hints: workspace?.inlayHint?.refreshSupport ?? false, lenses: workspace?.codeLens?.refreshSupport ?? false, tokens: workspace?.semanticTokens?.refreshSupport ?? false,
        };
        this.can = {
            links: textDocument?.definition?.linkSupport ?? false,
            lazyDocs: textDocument?.completion?.completionItem?.resolveSupport?.properties.includes('documentation') ?? false,
            // An editor that gave us options tells us of changed files itself.
            watch: params.initializationOptions === undefined || params.initializationOptions === null ? (workspace?.didChangeWatchedFiles?.dynamicRegistration ?? false) : false,
        };
        return { serverInfo: { name: 'quant-recipe' }, capabilities: this.capabilities() };
    }

    private capabilities(): ServerCapabilities {
        return {
            textDocumentSync: TextDocumentSyncKind.Incremental,
            completionProvider: { triggerCharacters: [' ', '-', '.', '/', '"', "'", '*', '{', '[', ','], resolveProvider: true },
            hoverProvider: true,
            inlayHintProvider: true,
            codeLensProvider: this.options.codeLens ? {} : undefined,
            codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix, CodeActionKind.RefactorRewrite, FIX_ALL] },
            documentSymbolProvider: true,
            foldingRangeProvider: true,
            documentLinkProvider: {},
            definitionProvider: true,
            referencesProvider: true,
            documentHighlightProvider: true,
            renameProvider: { prepareProvider: true },
            selectionRangeProvider: true,
            documentFormattingProvider: true,
            documentRangeFormattingProvider: true,
            documentOnTypeFormattingProvider: { firstTriggerCharacter: '\n' },
            semanticTokensProvider: { legend: { tokenTypes: [...TOKEN_TYPES], tokenModifiers: [...TOKEN_MODIFIERS] }, full: true, range: true },
        };
    }

    private filesChanged(): void {
        this.workspace.expire();
        this.lookAgain();
    }

    private watchFiles(): void {
        if (!this.can.watch) return;
        const watchers = ['**/config.json', '**/*.safetensors', '**/*.safetensors.index.json', '**/*.jsonl', '**/*.txt'].map((globPattern) => ({ globPattern }));
        this.connection.client.register(DidChangeWatchedFilesNotification.type, { watchers }).catch((error: unknown) => this.connection.console.warn(`files are not watched: ${String(error)}`));
    }

    /** Texts in the editor's language; where there are none they stay English, which is also what the engine says. */
    private async speak(uri: string | undefined): Promise<void> {
        if (uri === undefined) return;
        try {
            await l10n.config({ uri });
        } catch (error) {
            this.connection.console.warn(`no texts at ${uri}: ${String(error)}`);
        }
    }

    private newWorkspace(): Workspace {
        return new Workspace(this.schema.architectures, (uri) => this.factsChanged(uri));
    }

    private answerRequests(): void {
        const { connection } = this;
        connection.onCompletion(async ({ textDocument: { uri }, position }, token) => {
            const recipe = this.recipe(uri);
            if (!recipe) return null;
            const offset = offsetAt(recipe.text, position);
            const folder = folderWanted(recipe, offset);
            const listing = folder === undefined ? [] : await this.workspace.list(uri, folder);
            stopIfCancelled(token);
            const list = complete(recipe, offset, this.workspace.factsFor(uri, recipe), listing);
            return this.can.lazyDocs ? this.docs.strip(list) : list;
        });
        connection.onCompletionResolve((item) => this.docs.resolve(item));
        connection.onHover(({ textDocument: { uri }, position }, token) =>
            this.answer(uri, token, (recipe) => hover(recipe, offsetAt(recipe.text, position), this.workspace.factsFor(uri, recipe)) ?? null),
        );
        connection.languages.inlayHint.on(({ textDocument: { uri }, range }, token) =>
            this.answer(uri, token, (recipe) => inlayHints(recipe, this.workspace.factsFor(uri, recipe), spanOf(recipe, range))),
        );
        connection.onCodeLens(({ textDocument: { uri } }, token) =>
            this.answer(uri, token, (recipe) => codeLenses(uri, this.workspace.factsFor(uri, recipe), recipe, this.options.canRun)),
        );
        connection.onDocumentSymbol(({ textDocument: { uri } }, token) => this.answer(uri, token, documentSymbols));
        connection.onFoldingRanges(({ textDocument: { uri } }, token) => this.answer(uri, token, foldingRanges));
        connection.onDocumentLinks(({ textDocument: { uri } }, token) =>
            this.answer(uri, token, (recipe) => documentLinks(recipe, (path, format) => this.workspace.linkTarget(uri, path, format), runLink(this.workspace.factsFor(uri, recipe)))),
        );
        answerEditing(this.answering());
        answerNames(this.answering());
    }

    private answering(): Answering {
        return {
            connection: this.connection,
            answer: (uri, token, read) => this.answer(uri, token, read),
            facts: (uri, recipe) => this.workspace.factsFor(uri, recipe),
            findings: (uri, recipe) => validate(recipe, this.workspace.factsFor(uri, recipe)),
            diagnostic: (uri, recipe, finding) => diagnostic(recipe, uri, finding, this.options.diagnosticsUrl),
            target: (uri, file, format) => this.workspace.linkTarget(uri, file, format),
            runFile: (folder) => pathToFileURL(path.join(folder, RUN_FILES.recipe)).href,
            can: () => ({ links: this.can.links, choosePoint: this.options.choosePoint ?? false }),
        };
    }

    private answer<T>(uri: string, token: CancellationToken, read: (recipe: Recipe) => T): T | null {
        stopIfCancelled(token);
        const recipe = this.recipe(uri);
        return recipe ? read(recipe) : null;
    }

    /** The parsed document, made once for each version. */
    private recipe(uri: string): Recipe | undefined {
        const document = this.documents.get(uri);
        if (!document) return undefined;
        const known = this.parsed.get(uri);
        if (known?.version === document.version) return known.recipe;
        const recipe = parseRecipe(document.getText(), this.schema);
        this.parsed.set(uri, { version: document.version, recipe });
        return recipe;
    }

    private schedule(uri: string): void {
        clearTimeout(this.pending.get(uri));
        this.pending.set(uri, setTimeout(() => this.settle(uri), SETTLE_MS));
    }

    /** Says at once what is known, then looks at the disk and says it again if that brought news. */
    private settle(uri: string): void {
        this.pending.delete(uri);
        const recipe = this.recipe(uri);
        if (!recipe) return;
        this.publish(uri);
        this.workspace.refresh(uri, recipe).catch((error: unknown) => this.connection.console.error(`Cannot look at the files of ${uri}: ${String(error)}`));
    }

    private publish(uri: string): void {
        const recipe = this.recipe(uri);
        if (!recipe) return;
        const findings = validate(recipe, this.workspace.factsFor(uri, recipe));
        const diagnostics: Diagnostic[] = findings.map((finding) => diagnostic(recipe, uri, finding, this.options.diagnosticsUrl));
        void this.connection.sendDiagnostics({ uri, version: this.documents.get(uri)?.version, diagnostics });
    }

    private factsChanged(uri: string): void {
        this.publish(uri);
        this.refreshViews();
    }

    private lookAgain(): void {
        for (const uri of this.documents.keys()) this.schedule(uri);
    }

    private refreshViews(): void {
        if (this.canRefresh.hints) void this.connection.languages.inlayHint.refresh();
        if (this.canRefresh.tokens) void this.connection.languages.semanticTokens.refresh();
        if (this.canRefresh.lenses && this.options.codeLens) void this.connection.sendRequest('workspace/codeLens/refresh');
    }

    private close(uri: string): void {
        clearTimeout(this.pending.get(uri));
        this.pending.delete(uri);
        this.parsed.delete(uri);
        void this.connection.sendDiagnostics({ uri, diagnostics: [] });
    }
}

function runLink({ result: last }: Facts): RunLink | undefined {
    return last?.folder === undefined ? undefined : { name: last.result.run, uri: pathToFileURL(last.folder).href };
}

/** A request that was cancelled while it waited in the queue is not worth an answer. */
function stopIfCancelled(token: CancellationToken): void {
    if (token.isCancellationRequested) throw new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
}
