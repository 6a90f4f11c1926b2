import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import * as vscode from 'vscode';
import { alive, until, workbenchApi } from './api';

// The last file: nothing works afterwards.
describe('the end of the extension', () => {
    it('ends the engine', async function () {
        this.timeout(180_000);
        const engine = (await workbenchApi()).engine()?.engine;
        assert.ok(engine);
        const { hello } = await engine.start();
        const extension = vscode.extensions.getExtension('quant-workbench.quant-workbench');
        assert.ok(extension);
        // The very module that the editor has loaded, and would end in this way.
        const main = createRequire(__filename)(path.join(extension.extensionPath, 'dist', 'extension.js')) as { deactivate(): Promise<void> };
        await main.deactivate();
        await until('the engine to be gone', () => !alive(hello.pid), 3000);
    });
});
