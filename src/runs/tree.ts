import * as vscode from 'vscode';
import { runItem, runTooltip } from './describe';
import { readResult } from './record';
import { isShowable, type Run } from './run';
import type { RunStore } from './store';

/** When the view has not asked for every row by then, it is told again: a refresh while it was busy can be lost. */
const ANSWER_MS = 2000;
const ATTEMPTS = 10;

/** The Runs view: newest first, one line each. */
export class RunTree implements vscode.TreeDataProvider<string>, vscode.Disposable {
    /** Elements are run directories, so that a refresh finds the same element again. */
    private readonly changed = new vscode.EventEmitter<string | undefined>();
    private readonly listener: { dispose(): void };
    /** Runs whose rows the view has asked for. */
    private readonly asked = new Set<string>();
    private again: NodeJS.Timeout | undefined;

    readonly onDidChangeTreeData = this.changed.event;

    constructor(private readonly store: RunStore) {
        this.listener = store.onChange(({ before, after }) => {
            if (before && after && this.asked.has(after.directory)) this.changed.fire(after.directory);
            else this.renew(ATTEMPTS);
        });
    }

    /** All rows; again when the view has not asked for each of them some time later. It does not while it is hidden. */
    private renew(attempts: number): void {
        this.changed.fire(undefined);
        clearTimeout(this.again);
        if (attempts <= 1) return;
        this.again = setTimeout(() => {
            if (this.store.all.some(({ directory }) => !this.asked.has(directory))) this.renew(attempts - 1);
        }, ANSWER_MS);
    }

    getChildren(element?: string): string[] {
        return element === undefined ? this.store.all.map(({ directory }) => directory) : [];
    }

    getTreeItem(directory: string): vscode.TreeItem {
        const run = this.store.get(directory);
        if (!run) return new vscode.TreeItem(directory);
        this.asked.add(directory);
        const model = runItem(run, vscode.env.language);
        const item = new vscode.TreeItem(model.label);
        item.id = model.id;
        item.description = model.description;
        item.iconPath = new vscode.ThemeIcon(model.icon, model.color === undefined ? undefined : new vscode.ThemeColor(model.color));
        item.contextValue = model.contextValue;
        item.accessibilityInformation = { label: model.accessibleLabel };
        item.command = openCommand(run);
        return item;
    }

    async resolveTreeItem(item: vscode.TreeItem, directory: string): Promise<vscode.TreeItem> {
        const run = this.store.get(directory);
        if (run) item.tooltip = new vscode.MarkdownString(runTooltip(run, run.hasResult ? await readResult(directory) : undefined));
        return item;
    }

    getParent(): undefined {
        return undefined;
    }

    dispose(): void {
        this.listener.dispose();
        clearTimeout(this.again);
        this.changed.dispose();
    }
}

function openCommand(run: Run): vscode.Command {
    return isShowable(run)
        ? { command: 'quant.openResults', title: vscode.l10n.t('Open Results'), arguments: [run.directory] }
        : { command: 'quant.showRunLog', title: vscode.l10n.t('Show Log'), arguments: [run.directory] };
}
