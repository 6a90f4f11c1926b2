import path from 'node:path';
import * as vscode from 'vscode';
import { errorText } from '../base/log';
import type { Notifier } from '../ui/notify';
import type { RunFaults } from './faults';
import { parseFindings, stillbornFinding, type Finding } from './problems';
import { readResult } from './record';
import type { Run } from './run';
import type { RunStore } from './store';
import { isActive } from './state';

export interface NoticeActions {
    readonly openResults: (run: Run) => unknown;
    readonly openRecipe: (run: Run) => unknown;
    readonly showLog: (run: Run) => unknown;
    readonly resume: (run: Run) => unknown;
    /** Whether the user sees the panel of this run. */
    readonly visible: (run: Run) => boolean;
}

/** Tells of the end of runs that were seen running; of good ends only when nobody is looking. */
export function noticeEnds(store: RunStore, notify: Notifier, actions: NoticeActions): { dispose(): void } {
    return store.onChange(({ before, after }) => {
        if (before && isActive(before.state) && after && !isActive(after.state)) notice(after, notify, actions);
    });
}

export interface StillbornActions {
    readonly faults: RunFaults;
    /** Opens the recipe where a finding says, and what it says. */
    readonly showProblem: (recipe: vscode.Uri, finding: Finding) => Promise<void>;
    readonly showFindings: (recipe: vscode.Uri, findings: readonly Finding[]) => void;
}

/**
 * Tells of a run that ended before it began. What its check found is shown in the recipe, where it goes when the recipe is put right; only what is not
 * about a line of it is a message.
 */
export function noticeStillborn(recipe: vscode.Uri, cause: string, output: string, notify: Notifier, { faults, showProblem, showFindings }: StillbornActions): void {
    const finding = stillbornFinding(output);
    const message = vscode.l10n.t('{0} was not run: {1}', path.basename(recipe.fsPath), cause);
    showFindings(recipe, parseFindings(output));
    faults.refused(recipe.fsPath, cause, finding);
    if (!finding) return notify.failure(message);
    notify.quiet(message);
    // Whoever is typing in it by now is not taken elsewhere.
    if (!documentOf(recipe)?.isDirty) showProblem(recipe, finding).catch((error: unknown) => notify.quiet(`${recipe.fsPath}: ${errorText(error)}`));
}

function notice(run: Run, notify: Notifier, actions: NoticeActions): void {
    const log = { title: vscode.l10n.t('Show Log'), run: () => actions.showLog(run) };
    switch (run.state) {
        case 'failed': {
            const cause = [run.record?.error?.message, run.record?.advice].filter(Boolean).join(' ');
            const recipe = { title: vscode.l10n.t('Open Recipe'), run: () => actions.openRecipe(run) };
            const message = vscode.l10n.t('The run of {0} failed: {1}', run.name, cause);
            if (seesFailure(run, actions)) notify.quiet(message);
            else notify.failure(message, recipe, log);
            break;
        }
        case 'interrupted': {
            const resume = { title: vscode.l10n.t('Resume'), run: () => actions.resume(run) };
            notify.warn(vscode.l10n.t('The run of {0} ended without finishing.', run.name), ...(run.resumable ? [resume] : []), log);
            break;
        }
        case 'done':
        case 'done-with-fallbacks':
            void success(run, notify, actions);
            break;
        default: // Cancelled: whoever asked for it knows.
    }
}

/** Whether the cause stands before the user's eyes: in the panel, or on its line of the recipe. */
function seesFailure(run: Run, { visible }: NoticeActions): boolean {
    if (!vscode.window.state.focused) return false;
    const hasLine = typeof run.record?.error?.line === 'number';
    return visible(run) || (hasLine && vscode.window.visibleTextEditors.some(({ document }) => document.uri.fsPath === run.recipe));
}

function documentOf(uri: vscode.Uri): vscode.TextDocument | undefined {
    return vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
}

async function success(run: Run, notify: Notifier, actions: NoticeActions): Promise<void> {
    if (vscode.window.state.focused && actions.visible(run)) return;
    const fallbacks = run.state === 'done-with-fallbacks' ? (await readResult(run.directory))?.layers.filter(({ fallback }) => fallback !== null).length : undefined;
    const message = fallbacks === undefined
        ? vscode.l10n.t('The run of {0} is done.', run.name)
        : vscode.l10n.t('The run of {0} is done; {1} layers were quantized in another way than asked.', run.name, fallbacks);
    notify.info(message, { title: vscode.l10n.t('Open Results'), run: () => actions.openResults(run) });
}
