import * as vscode from 'vscode';
import type { ParetoPointChoice } from '../../protocol/language';
import { selectRecipe, type Target } from '../runs/select';
import type { Notifier } from '../ui/notify';
import type { RecipeLanguage } from './client';

/** The command “Replace Rules by Pareto Point…”: a point of the last run's front as default and rules of the recipe, one step to undo. */
export async function replaceRules(language: RecipeLanguage | undefined, notify: Notifier, target: Target): Promise<void> {
    const uri = await selectRecipe(target);
    if (!uri || !language) return;
    const document = await vscode.workspace.openTextDocument(uri);
    const points = await language.paretoPoints(uri);
    if (points.length === 0) {
        notify.info(vscode.l10n.t('No point fits this recipe. Measure its candidates first; the rules that ran then must still be there.'));
        return;
    }
    const items = points.map(({ number, label, detail }: ParetoPointChoice) => ({ label, detail, number }));
    const picked = await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Replace Rules by Pareto Point'), placeHolder: vscode.l10n.t('From the smallest to the best'), matchOnDetail: true });
    if (!picked) return;
    const edits = await language.paretoEdits(document.uri, picked.number);
    const edit = new vscode.WorkspaceEdit();
    edit.set(uri, edits ?? []);
    if (!edits || !(await vscode.workspace.applyEdit(edit))) notify.warn(vscode.l10n.t('The recipe has changed meanwhile, so it was left as it is.'));
}
