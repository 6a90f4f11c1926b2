import path from 'node:path';
import * as vscode from 'vscode';
import { RUN_FILES } from '../../protocol/runs';
import { exists } from '../base/files';
import type { Notifier } from '../ui/notify';
import type { RunFault } from './faults';
import type { Finding } from './problems';
import type { Run } from './run';
import { selectRun, type Target } from './select';
import type { RunStore } from './store';

/** Opens what a run has left on disk. Starts nothing, so it works everywhere. */
export class RunPlaces {
    constructor(
        private readonly store: RunStore,
        private readonly notify: Notifier,
    ) {}

    /** The recipe as it is now, or the copy of what ran when it is gone. */
    async openRecipe(target: Target): Promise<void> {
        const run = await this.named(target);
        if (!run) return;
        const recipe = (await exists(run.recipe)) ? run.recipe : path.join(run.directory, RUN_FILES.recipe);
        await vscode.window.showTextDocument(vscode.Uri.file(recipe));
    }

    /** The recipe at what its check found, with the words to it. */
    async showFinding(recipe: vscode.Uri, { line, column }: Pick<Finding, 'line' | 'column'>): Promise<void> {
        const document = await vscode.workspace.openTextDocument(recipe);
        const at = document.validatePosition(new vscode.Position(line - 1, column - 1));
        await vscode.window.showTextDocument(document, { selection: new vscode.Range(at, at) });
        await vscode.commands.executeCommand('editor.action.showHover');
    }

    /** What the status bar tells of: its line in the recipe, else the log of the run. */
    async showFault({ recipe, directory, place }: RunFault): Promise<void> {
        if (place) return this.showFinding(vscode.Uri.file(recipe), place);
        if (directory !== undefined) return this.showLog(directory);
        await vscode.commands.executeCommand('quant.showLog');
    }

    async showLog(target: Target): Promise<void> {
        const run = await this.named(target);
        if (!run) return;
        const log = path.join(run.directory, run.record?.log ?? RUN_FILES.log);
        if (await exists(log)) await vscode.window.showTextDocument(vscode.Uri.file(log), { preview: true });
        else this.notify.info(vscode.l10n.t('{0} has written no log.', run.name));
    }

    async revealRun(target: Target): Promise<void> {
        const run = await this.named(target);
        if (run) await this.reveal(run.directory);
    }

    async revealCheckpoint(target: Target): Promise<void> {
        const output = (await this.named(target))?.record?.output;
        if (output) await this.reveal(output);
    }

    private async reveal(folder: string): Promise<void> {
        const uri = vscode.Uri.file(folder);
        if (!(await exists(folder))) {
            this.notify.error(vscode.l10n.t('{0} does not exist any more.', folder));
            return;
        }
        // The explorer knows workspace folders only; the system's file manager is not there in a browser.
        const command = vscode.workspace.getWorkspaceFolder(uri) ? 'revealInExplorer' : 'revealFileInOS';
        await vscode.commands.executeCommand(command, uri);
    }

    private named(target: Target): Promise<Run | undefined> {
        return selectRun(this.store, target, () => true, vscode.l10n.t('Which run?'));
    }
}
