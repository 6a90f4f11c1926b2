import path from 'node:path';
import * as vscode from 'vscode';
import { runCommand } from '../engine/command';
import type { Notifier } from '../ui/notify';
import type { Reports } from '../ui/report';
import { forecastMarkdown, parseForecast } from './forecast';
import type { EngineCommand } from './launcher';
import { exists, nextFree, outputOf } from './output';
import { selectRecipe, type Target } from './select';

export interface EstimateParts {
    readonly engine: EngineCommand;
    readonly notify: Notifier;
    readonly reports: Reports;
    readonly save: (recipe: vscode.Uri) => Promise<boolean>;
    readonly explain: (error: unknown, attempted: string) => void;
}

/** A run asks where to write when its folder exists, as it does after each run; an estimate takes what would be offered. */
async function elsewhere(recipe: string): Promise<string[]> {
    const output = await outputOf(recipe);
    return output !== undefined && (await exists(output)) ? ['--set', `output=${JSON.stringify(await nextFree(output))}`] : [];
}

/** The command “Estimate”: sizes, memory and time of a run before it, found by the engine without a run directory. */
export async function estimate({ engine, notify, reports, save, explain }: EstimateParts, target: Target): Promise<void> {
    const uri = await selectRecipe(target);
    if (!uri) return;
    if (uri.scheme !== 'file') {
        notify.error(vscode.l10n.t('{0} is not a file on this machine, so the engine cannot read it.', uri.toString()));
        return;
    }
    if (!(await save(uri))) return;
    const name = path.basename(uri.fsPath);
    const title = vscode.l10n.t('Estimating {0}', name);
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, async (_, token) => {
        const abort = new AbortController();
        const listener = token.onCancellationRequested(() => abort.abort());
        try {
            const { file, args, env } = await engine('preflight', uri.fsPath, '--json', ...(await elsewhere(uri.fsPath)));
            const result = await runCommand(file, args, { cwd: path.dirname(uri.fsPath), env, signal: abort.signal });
            const forecast = parseForecast(result.stdout);
            if (result.cancelled) return;
            if (forecast) await reports.show(`estimate-${name}`, forecastMarkdown(name, forecast));
            else notify.error(vscode.l10n.t('{0} could not be estimated: {1}', name, result.stderr.trim().split('\n').at(-1) ?? ''));
        } catch (error) {
            explain(error, vscode.l10n.t('{0} could not be estimated', name));
        } finally {
            listener.dispose();
        }
    });
}
