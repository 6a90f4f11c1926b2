import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createMessageConnection, StreamMessageReader, StreamMessageWriter, type MessageConnection } from 'vscode-jsonrpc/node';
import type { ClientCapabilities, Diagnostic, InitializeResult } from 'vscode-languageserver/node';
import type { ServerOptions } from '../../protocol/language';

interface Published {
    readonly uri: string;
    readonly version?: number;
    readonly diagnostics: readonly Diagnostic[];
}

const PATIENCE_MS = 15_000;

/** A real server process, spoken to over stdio. */
export class Server {
    readonly connection: MessageConnection;
    private readonly process: ChildProcess;
    private readonly published = new Map<string, Published>();
    private waiting: (() => void)[] = [];
    readonly refreshes: string[] = [];
    errors = '';

    constructor() {
        this.process = spawn(process.execPath, [path.resolve('dist/server.js'), '--stdio'], { stdio: ['pipe', 'pipe', 'pipe'] });
        this.process.stderr?.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
        this.connection = createMessageConnection(new StreamMessageReader(this.process.stdout!), new StreamMessageWriter(this.process.stdin!));
        this.connection.onNotification('textDocument/publishDiagnostics', (params: Published) => {
            this.published.set(params.uri, params);
            this.wake();
        });
        this.connection.onRequest((method) => {
            this.refreshes.push(method);
            this.wake();
            return null;
        });
        this.connection.listen();
    }

    get pid(): number {
        return this.process.pid!;
    }

    /** null: as an editor does that knows nothing of the server. */
    async initialize(options: Partial<ServerOptions> | null = {}, more: ClientCapabilities = {}): Promise<InitializeResult> {
        const initializationOptions: ServerOptions | null = options && {
            schemaPath: path.resolve('schemas/recipe.schema.json'), codeLens: true, diagnosticsUrl: 'https://example.org/diagnostics.md', ...options,
        };
        const capabilities = { ...more, workspace: { inlayHint: { refreshSupport: true }, codeLens: { refreshSupport: true }, ...more.workspace } };
        const result = await this.connection.sendRequest<InitializeResult>('initialize', { processId: process.pid, rootUri: null, capabilities, initializationOptions });
        await this.notify('initialized', {});
        return result;
    }

    notify(method: string, params: unknown): Promise<void> {
        return this.connection.sendNotification(method, params);
    }

    open(uri: string, text: string): Promise<void> {
        return this.notify('textDocument/didOpen', { textDocument: { uri, languageId: 'quant-recipe', version: 1, text } });
    }

    request<T>(method: string, uri: string, more: object = {}): Promise<T> {
        return this.connection.sendRequest<T>(method, { textDocument: { uri }, ...more });
    }

    /** The diagnostics of a document as soon as they satisfy the condition. */
    diagnostics(uri: string, condition: (diagnostics: readonly Diagnostic[], version: number | undefined) => boolean): Promise<readonly Diagnostic[]> {
        return this.until(() => {
            const published = this.published.get(uri);
            return published && condition(published.diagnostics, published.version) ? published.diagnostics : undefined;
        }, () => `diagnostics of ${uri}; last: ${JSON.stringify(this.published.get(uri))}`);
    }

    /** Asks again after each message from the server, until there is an answer. */
    async until<T>(read: () => T | undefined | Promise<T | undefined>, what: () => string): Promise<T> {
        const end = Date.now() + PATIENCE_MS;
        for (;;) {
            // Asked for before reading: a message that comes meanwhile must not be missed.
            const woken = new Promise<void>((resolve) => this.waiting.push(resolve));
            const value = await read();
            if (value !== undefined) return value;
            const left = end - Date.now();
            if (left <= 0) throw new Error(`waited in vain for ${what()} ${this.errors}`);
            const timer = new AbortController();
            await Promise.race([woken, setTimeout(left, undefined, { signal: timer.signal }).catch(() => undefined)]);
            timer.abort();
        }
    }

    private wake(): void {
        for (const resolve of this.waiting.splice(0)) resolve();
    }

    /** Ends as an editor would, and answers the exit code. */
    async stop(): Promise<number | null> {
        const exit = once(this.process, 'exit') as Promise<[number | null]>;
        await this.connection.sendRequest('shutdown');
        await this.notify('exit', undefined);
        const [code] = await exit;
        this.connection.dispose();
        return code;
    }
}
