import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { isPanelMessage, PANEL_PROTOCOL_VERSION, type HostMessage, type PanelMessage } from '../../protocol/panel';
import { Throttle, type Clock } from '../base/clock';
import type { Log } from '../base/log';
import { newerRun } from '../runs/newer';
import type { RunStore } from '../runs/store';
import { panelHtml } from './html';
import { SnapshotSource } from './snapshot';

export const SENSITIVITY = 'quant.sensitivity';
/** Snapshots are whole, so a slower pace only makes each of them newer. */
const PACE = 300;

export interface PanelParts {
    readonly extensionUri: vscode.Uri;
    readonly store: RunStore;
    readonly clock: Clock;
    readonly log: Log;
    readonly act: (message: Exclude<PanelMessage, { type: 'ready' }>, runDirectory: string) => void;
}

/** What a panel may load: its own bundle, nothing else. */
export function panelOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
    return { enableScripts: true, enableForms: false, localResourceRoots: [vscode.Uri.joinPath(extensionUri, 'dist', 'webview')] };
}

/** One sensitivity panel, of one run. */
export class SensitivityPanel implements vscode.Disposable {
    private readonly disposables: { dispose(): void }[] = [];
    private readonly source: SnapshotSource;
    private readonly throttle: Throttle;
    /** Its own message: a snapshot of a large model is not sent again because another run goes on. */
    private readonly newer: Throttle;
    /** The page that said it is ready; a page that was hidden and shown again is another one. */
    private load: string | undefined;

    constructor(
        readonly panel: vscode.WebviewPanel,
        readonly runDirectory: string,
        private readonly parts: PanelParts,
    ) {
        const translations = { strings: bundledStrings(), locale: vscode.env.language };
        this.source = new SnapshotSource(runDirectory, translations, parts.log);
        this.throttle = new Throttle(parts.clock, PACE, () => void this.post());
        this.newer = new Throttle(parts.clock, PACE, () => this.postNewer());
        this.disposables.push(
            this.throttle,
            panel.webview.onDidReceiveMessage((message: unknown) => this.receive(message)),
            this.newer,
            parts.store.onChange(({ before, after }) => {
                const changed = after ?? before;
                if (changed?.directory === runDirectory) this.throttle.trigger();
                if (changed?.recipe === parts.store.get(runDirectory)?.recipe) this.newer.trigger();
            }),
        );
        panel.webview.options = panelOptions(parts.extensionUri);
        // A tab shows the file as it is, without the theme's own colour.
        const icon = (theme: string): vscode.Uri => vscode.Uri.joinPath(parts.extensionUri, 'media', `quant-${theme}.svg`);
        panel.iconPath = { light: icon('light'), dark: icon('dark') };
        panel.webview.html = this.html();
    }

    copyTable(format: 'csv' | 'markdown'): void {
        void this.send({ type: 'copy-table', version: PANEL_PROTOCOL_VERSION, format });
    }

    dispose(): void {
        for (const item of this.disposables) item.dispose();
    }

    private receive(message: unknown): void {
        if (!isPanelMessage(message)) {
            this.parts.log.warn(`a message from a panel that is none of ours: ${JSON.stringify(message)?.slice(0, 200)}`);
            return;
        }
        if (message.type !== 'ready') {
            this.parts.act(message, this.runDirectory);
            return;
        }
        if (message.version !== PANEL_PROTOCOL_VERSION) this.parts.log.error(`the panel speaks version ${message.version}, the extension ${PANEL_PROTOCOL_VERSION}`);
        this.load = message.load;
        void this.post();
    }

    private async post(): Promise<void> {
        if (this.load === undefined) return;
        try {
            const { store } = this.parts;
            const message = await this.source.read(store.get(this.runDirectory) ?? (await store.look(this.runDirectory)));
            if (message) await this.send(message);
            this.newer.trigger();
        } catch (error) {
            this.parts.log.error(`snapshot of ${this.runDirectory}: ${String(error)}`);
        }
    }

    private postNewer(): void {
        if (this.load === undefined) return;
        const { store } = this.parts;
        const own = store.get(this.runDirectory);
        const run = own && newerRun(store.of(own.recipe), this.runDirectory);
        const newer = run ? { state: run.state === 'interrupted' ? 'failed' as const : run.state, progress: run.progress } : null;
        void this.send({ type: 'newer', version: PANEL_PROTOCOL_VERSION, runDirectory: this.runDirectory, newer });
    }

    /** A hidden page does not exist: what is sent to it is lost, and it asks again when it is shown. */
    private send(message: HostMessage): Thenable<boolean> {
        return this.panel.visible ? this.panel.webview.postMessage(message) : Promise.resolve(false);
    }

    private html(): string {
        const { webview } = this.panel;
        const file = (name: string): string => webview.asWebviewUri(vscode.Uri.joinPath(this.parts.extensionUri, 'dist', 'webview', name)).toString();
        return panelHtml({
            language: vscode.env.language, title: this.panel.title, nonce: randomBytes(16).toString('hex'), cspSource: webview.cspSource,
            script: file('sensitivity.js'), icons: file('codicon.css'), element: 'quant-sensitivity',
        });
    }
}

function bundledStrings(): Record<string, string> {
    return Object.fromEntries(Object.entries(vscode.l10n.bundle ?? {}).filter(([, text]) => typeof text === 'string'));
}
