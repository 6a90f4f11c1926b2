import * as vscode from 'vscode';

/** Whether no folder of the workspace lies on this machine, so that the engine could read nothing of it. */
export function isVirtualWorkspace(): boolean {
    const folders = vscode.workspace.workspaceFolders ?? [];
    return folders.length > 0 && folders.every(({ uri }) => uri.scheme !== 'file');
}
