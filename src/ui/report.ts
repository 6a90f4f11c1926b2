import * as vscode from 'vscode';

export const REPORT_SCHEME = 'quant-report';

/** Read-only Markdown documents that are made by a command, not saved anywhere. */
export class Reports implements vscode.TextDocumentContentProvider, vscode.Disposable {
    private readonly texts = new Map<string, string>();
    private readonly changed = new vscode.EventEmitter<vscode.Uri>();
    private readonly registration = vscode.workspace.registerTextDocumentContentProvider(REPORT_SCHEME, this);

    readonly onDidChange = this.changed.event;

    provideTextDocumentContent(uri: vscode.Uri): string {
        return this.texts.get(uri.path) ?? '';
    }

    async show(name: string, markdown: string): Promise<void> {
        const uri = vscode.Uri.from({ scheme: REPORT_SCHEME, path: `/${name}.md` });
        this.texts.set(uri.path, markdown);
        this.changed.fire(uri);
        await vscode.commands.executeCommand('markdown.showPreview', uri);
    }

    dispose(): void {
        this.registration.dispose();
        this.changed.dispose();
    }
}
