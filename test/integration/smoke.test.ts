import assert from 'node:assert/strict';
import * as vscode from 'vscode';

interface Manifest {
    contributes: { commands: { command: string }[] };
}

describe('the extension', () => {
    const extension = vscode.extensions.getExtension('quant-workbench.quant-workbench');

    it('is found and activates', async () => {
        assert.ok(extension, 'VS Code does not know the extension');
        await extension.activate();
        assert.ok(extension.isActive);
    });

    it('registers every command of its manifest', async () => {
        assert.ok(extension);
        await extension.activate();
        const registered = new Set(await vscode.commands.getCommands(true));
        const { contributes } = extension.packageJSON as Manifest;
        const missing = contributes.commands.map(({ command }) => command).filter((command) => !registered.has(command));
        assert.deepEqual(missing, []);
    });
});
