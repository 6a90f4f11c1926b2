import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { Workbench, type WorkbenchApi } from './workbench';

let workbench: Workbench | undefined;

export function activate(context: vscode.ExtensionContext): WorkbenchApi {
    // Modules that must not import the editor translate through this package; it gets the same bundle.
    if (vscode.l10n.bundle) l10n.config({ contents: vscode.l10n.bundle });
    workbench = new Workbench(context);
    workbench.start();
    return workbench.api;
}

export async function deactivate(): Promise<void> {
    await workbench?.stop();
    workbench = undefined;
}
