import path from 'node:path';
import * as vscode from 'vscode';
import type { Notifier } from '../ui/notify';
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
    /** Whether the user sees the end of this run anyway. */
    readonly visible: (run: Run) => boolean;
}

/** Tells of the end of runs that were seen running; of good ends only when nobody is looking. */
export function noticeEnds(store: RunStore, notify: Notifier, actions: NoticeActions): { dispose(): void } {
    return store.onChange(({ before, after }) => {
        if (before && isActive(before.state) && after && !isActive(after.state)) notice(after, notify, actions);
    });
}

export interface StillbornActions {
    /** Opens the recipe where a finding says. */
    readonly showProblem: (recipe: vscode.Uri, finding: Finding) => unknown;
    readonly showFindings: (recipe: vscode.Uri, findings: readonly Finding[]) => void;
}

/** Tells of a run that ended before it began: with the place in the recipe when its check found one. */
export function noticeStillborn(recipe: vscode.Uri, cause: string, output: string, notify: Notifier, { showProblem, showFindings }: StillbornActions): void {
    const finding = stillbornFinding(output);
    const problem = finding && { title: vscode.l10n.t('Show Problem'), run: () => showProblem(recipe, finding) };
    notify.error(vscode.l10n.t('{0} was not run: {1}', path.basename(recipe.fsPath), cause), problem);
    showFindings(recipe, parseFindings(output));
}

function notice(run: Run, notify: Notifier, actions: NoticeActions): void {
    const log = { title: vscode.l10n.t('Show Log'), run: () => actions.showLog(run) };
    switch (run.state) {
        case 'failed': {
            const cause = [run.record?.error?.message, run.record?.advice].filter(Boolean).join(' ');
            const recipe = { title: vscode.l10n.t('Open Recipe'), run: () => actions.openRecipe(run) };
            notify.error(vscode.l10n.t('The run of {0} failed: {1}', run.name, cause), recipe, log);
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

async function success(run: Run, notify: Notifier, actions: NoticeActions): Promise<void> {
    if (vscode.window.state.focused && actions.visible(run)) return;
    const fallbacks = run.state === 'done-with-fallbacks' ? (await readResult(run.directory))?.layers.filter(({ fallback }) => fallback !== null).length : undefined;
    const message = fallbacks === undefined
        ? vscode.l10n.t('The run of {0} is done.', run.name)
        : vscode.l10n.t('The run of {0} is done; {1} layers were quantized in another way than asked.', run.name, fallbacks);
    notify.info(message, { title: vscode.l10n.t('Open Results'), run: () => actions.openResults(run) });
}
