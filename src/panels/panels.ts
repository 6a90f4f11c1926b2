import path from 'node:path';
import * as vscode from 'vscode';
import { recipeName } from '../runs/naming';
import type { Run } from '../runs/run';
import { isActive } from '../runs/state';
import { panelOptions, SENSITIVITY, SensitivityPanel, type PanelParts } from './panel';
import { isSensitivityState } from './snapshot';

/** All sensitivity panels: one for each run. */
export class SensitivityPanels implements vscode.Disposable, vscode.WebviewPanelSerializer {
    private readonly panels = new Map<string, SensitivityPanel>();
    private readonly serializer: vscode.Disposable;

    constructor(private readonly parts: PanelParts) {
        this.serializer = vscode.window.registerWebviewPanelSerializer(SENSITIVITY, this);
    }

    /** Shows a run beside the recipe; a panel that it has already is brought forward. */
    show(run: Run): SensitivityPanel {
        const existing = this.panels.get(run.directory);
        if (existing) {
            existing.panel.reveal(undefined, true);
            return existing;
        }
        const place = { viewColumn: this.column(), preserveFocus: true };
        return this.adopt(vscode.window.createWebviewPanel(SENSITIVITY, title(run.recipe), place, panelOptions(this.parts.extensionUri)), run.directory);
    }

    /** Called by the editor for each panel that was open when the window was closed or reloaded. */
    async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
        if (!isSensitivityState(state)) {
            // It never got its first snapshot, so it does not know its run; an empty panel would help nobody.
            this.parts.log.warn('a sensitivity panel without a run was not restored');
            panel.dispose();
            return;
        }
        const run = await this.parts.store.look(state.runDirectory);
        panel.title = title(run?.recipe ?? state.runDirectory);
        this.adopt(panel, state.runDirectory);
    }

    /** Whether the user sees this run's panel. */
    visible(directory: string): boolean {
        return this.panels.get(directory)?.panel.visible ?? false;
    }

    get(directory: string): SensitivityPanel | undefined {
        return this.panels.get(directory);
    }

    get active(): SensitivityPanel | undefined {
        return [...this.panels.values()].find(({ panel }) => panel.active);
    }

    dispose(): void {
        this.serializer.dispose();
        for (const panel of [...this.panels.values()]) panel.panel.dispose();
    }

    private adopt(panel: vscode.WebviewPanel, directory: string): SensitivityPanel {
        this.panels.get(directory)?.panel.dispose();
        const created = new SensitivityPanel(panel, directory, this.parts);
        this.panels.set(directory, created);
        panel.onDidDispose(() => {
            created.dispose();
            if (this.panels.get(directory) === created) this.panels.delete(directory);
        });
        return created;
    }

    /** Beside the recipe, in the column of other panels when there are any. */
    private column(): vscode.ViewColumn {
        for (const { panel } of this.panels.values()) if (panel.viewColumn !== undefined) return panel.viewColumn;
        return vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
    }
}

/** What “open results” of a recipe shows: the run that is going on, else the newest with a result. `runs` come newest first. */
export function showableRun(runs: readonly Run[]): Run | undefined {
    return runs.find(({ state }) => isActive(state)) ?? runs.find(({ hasResult }) => hasResult) ?? runs[0];
}

function title(recipeOrDirectory: string): string {
    return vscode.l10n.t('Sensitivity: {0}', recipeName(path.basename(recipeOrDirectory)));
}
