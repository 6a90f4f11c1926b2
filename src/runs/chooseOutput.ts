import path from 'node:path';
import * as vscode from 'vscode';
import { exists, nextFree, outputOf } from './output';

/** Where a run writes to. The engine never overwrites, so when the recipe's folder exists the user is asked; undefined: as the recipe says. */
export async function chooseOutput(recipe: vscode.Uri): Promise<{ readonly output: string | undefined } | 'dismissed'> {
    // A recipe that is refused anyway is not worth a question.
    const findings = vscode.languages.getDiagnostics(recipe).filter(({ severity }) => severity === vscode.DiagnosticSeverity.Error);
    if (findings.some(({ code }) => codeOf(code) !== 'output-exists')) return { output: undefined };
    const output = await outputOf(recipe.fsPath);
    if (output === undefined || !(await exists(output))) return { output: undefined };
    const free = await nextFree(output);
    const shown = (folder: string): string => path.relative(path.dirname(recipe.fsPath), folder);
    const elsewhere = { label: vscode.l10n.t('Write to {0}', shown(free)), detail: vscode.l10n.t('For this run only; the recipe stays as it is.') };
    const edit = { label: vscode.l10n.t('Edit the recipe'), detail: vscode.l10n.t('Name another folder, or remove the old one.') };
    const picked = await vscode.window.showQuickPick([elsewhere, edit], {
        title: vscode.l10n.t('{0} exists already', shown(output)),
        placeHolder: vscode.l10n.t('Nothing is ever overwritten.'),
    });
    if (picked === elsewhere) return { output: free };
    if (picked === edit) await showOutput(recipe);
    return 'dismissed';
}

function codeOf(code: vscode.Diagnostic['code']): string | number | undefined {
    return typeof code === 'object' ? code.value : code;
}

async function showOutput(recipe: vscode.Uri): Promise<void> {
    const document = await vscode.workspace.openTextDocument(recipe);
    const line = /^output\s*:/m.exec(document.getText());
    const at = document.positionAt(line?.index ?? 0);
    await vscode.window.showTextDocument(document, { selection: document.lineAt(at.line).range });
}
