import path from 'node:path';
import * as vscode from 'vscode';
import { runItem } from './describe';
import type { Run } from './run';
import type { RunStore } from './store';

/** What commands are called with: a URI (menus), a URI as text (code lenses), a run directory (the Runs view), nothing (palette). */
export type Target = vscode.Uri | string | undefined;

export function targetUri(target: Target): vscode.Uri | undefined {
    if (target instanceof vscode.Uri) return target;
    return typeof target === 'string' && /^[a-z][a-z0-9+.-]+:/i.test(target) && !path.isAbsolute(target) ? vscode.Uri.parse(target) : undefined;
}

/** The recipe in the active editor. */
export function activeRecipe(): vscode.Uri | undefined {
    const document = vscode.window.activeTextEditor?.document;
    return document?.languageId === 'quant-recipe' ? document.uri : undefined;
}

/** The recipe that a command means; asks when nothing says it. */
export async function selectRecipe(target: Target): Promise<vscode.Uri | undefined> {
    const named = targetUri(target) ?? activeRecipe();
    if (named) return named;
    const recipes = await vscode.workspace.findFiles('**/*.quant.{yaml,yml}', '**/{node_modules,.venv,venv,runs}/**', 200);
    const items = recipes.map((uri) => ({ label: path.posix.basename(uri.path), description: vscode.workspace.asRelativePath(vscode.Uri.joinPath(uri, '..')), uri }));
    items.sort((a, b) => a.label.localeCompare(b.label));
    if (items.length === 0) {
        void vscode.window.showInformationMessage(vscode.l10n.t('There is no recipe in this workspace. “Quant: Quantize…” writes one for a checkpoint.'));
        return undefined;
    }
    return (await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t('Which recipe?'), matchOnDescription: true }))?.uri;
}

/** Of the runs that a command can act on, the one that is meant: named, the newest of the recipe, the only one, or asked for. */
export async function selectRun(store: RunStore, target: Target, fits: (run: Run) => boolean, question: string): Promise<Run | undefined> {
    const uri = targetUri(target);
    if (typeof target === 'string' && !uri) return store.get(target) ?? (await store.look(target));
    const recipe = uri ?? activeRecipe();
    const fitting = store.all.filter(fits);
    if (recipe) {
        const own = fitting.find((run) => run.recipe === recipe.fsPath);
        if (own || uri) return own;
    }
    if (fitting.length <= 1) return fitting[0];
    const items = fitting.map((run) => {
        const { label, description, icon } = runItem(run, vscode.env.language);
        return { label: `$(${icon}) ${label}`, description, run };
    });
    return (await vscode.window.showQuickPick(items, { placeHolder: question, matchOnDescription: true }))?.run;
}
