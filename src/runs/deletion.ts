import * as vscode from 'vscode';
import { errorText } from '../base/log';
import type { Notifier } from '../ui/notify';
import { deletionDetail } from './describe';
import type { Run } from './run';
import { selectRun, type Target } from './select';
import { isActive } from './state';
import type { RunStore } from './store';

/** Deletes runs from the Runs view: the run directory, never the checkpoint that was written elsewhere. */
export class RunDeletion {
    constructor(
        private readonly store: RunStore,
        private readonly notify: Notifier,
        /** What is selected in the view, for the key that deletes it. An extension is not told of the focus: the key selects what has it first. */
        private readonly selected: () => string | undefined,
        private readonly closePanel: (directory: string) => void,
    ) {}

    async run(target: Target): Promise<void> {
        const named = target ?? this.selected();
        const run = named === undefined ? undefined : await selectRun(this.store, named, () => true, '');
        if (!run || this.refuses(run) || !(await confirmed(run))) return;
        // It may have been resumed while the question stood there.
        const latest = await this.store.look(run.directory);
        if (!latest || this.refuses(latest)) return;
        if (!(await removed(run))) return;
        this.closePanel(run.directory);
        await this.store.look(run.directory);
    }

    private refuses({ state, name }: Run): boolean {
        if (isActive(state)) this.notify.info(vscode.l10n.t('{0} is running. Cancel it before you delete it.', name));
        return isActive(state);
    }
}

/** There is no trash on the far side of a remote window. */
function hasTrash(): boolean {
    return vscode.env.remoteName === undefined;
}

async function confirmed(run: Run): Promise<boolean> {
    const [button, verb] = hasTrash() ? [vscode.l10n.t('Move to Trash'), 'trash'] as const : [vscode.l10n.t('Delete'), 'delete'] as const;
    const when = new Date(run.created).toLocaleString(vscode.env.language, { dateStyle: 'medium', timeStyle: 'short' });
    const answer = await vscode.window.showWarningMessage(
        vscode.l10n.t('Delete the run of {0} from {1}?', run.name, when),
        { modal: true, detail: deletionDetail(run, verb, (file) => vscode.workspace.asRelativePath(file)) }, button,
    );
    return answer === button;
}

/** False: the user kept it after all. */
async function removed(run: Run): Promise<boolean> {
    const directory = vscode.Uri.file(run.directory);
    if (hasTrash()) {
        try {
            await vscode.workspace.fs.delete(directory, { recursive: true, useTrash: true });
            return true;
        } catch (error) {
            const button = vscode.l10n.t('Delete Permanently');
            const message = vscode.l10n.t('The run of {0} cannot be moved to the trash. Delete it permanently?', run.name);
            if ((await vscode.window.showWarningMessage(message, { modal: true, detail: errorText(error) }, button)) !== button) return false;
        }
    }
    await vscode.workspace.fs.delete(directory, { recursive: true, useTrash: false });
    return true;
}
