import * as vscode from 'vscode';
import { lensCommands } from '../../protocol/language';

const HERE = '.here';

/**
 * Lenses whose commands carry no arguments. VS Code keeps the arguments of a lens for as long as the lens stands, and a click on one that is just being
 * drawn anew finds none and fails ("Actual command not found"). A click makes its editor the active one, which says the recipe as well.
 */
export function withoutArguments(lenses: readonly vscode.CodeLens[]): vscode.CodeLens[] {
    const known: readonly string[] = Object.values(lensCommands);
    return lenses.map(({ range, command }) => {
        if (!command || !known.includes(command.command)) return new vscode.CodeLens(range, command);
        return new vscode.CodeLens(range, { title: command.title, command: command.command + HERE });
    });
}

export function registerLensCommands(): vscode.Disposable {
    const here = (command: string): vscode.Disposable =>
        vscode.commands.registerCommand(command + HERE, () => vscode.commands.executeCommand(command, vscode.window.activeTextEditor?.document.uri.toString()));
    return vscode.Disposable.from(...Object.values(lensCommands).map(here));
}
