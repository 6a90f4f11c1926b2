import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { CHECKPOINT, inWorkspace, until, workbenchApi } from './api';

describe('checkpoints in the workspace', () => {
    const names = async (): Promise<string[]> => (await workbenchApi()).checkpoints.all.map(({ fsPath }) => path.basename(fsPath));

    it('are found when the window opens, and nothing else is', async () => {
        assert.deepEqual(await names(), [CHECKPOINT]);
    });

    it('are known from the top levels alone, before the whole workspace was searched', async () => {
        const { checkpoints } = await workbenchApi();
        const told: string[][] = [];
        const listener = checkpoints.onDidChange((folders) => told.push(folders.map(({ fsPath }) => path.basename(fsPath))));
        const { glanced, searched } = checkpoints.first();
        await glanced;
        assert.deepEqual(told, [[CHECKPOINT]]);
        await searched;
        listener.dispose();
        assert.deepEqual(told, [[CHECKPOINT], [CHECKPOINT]]);
    });

    it('that are quantized already are nothing to start from', async () => {
        const { checkpoints } = await workbenchApi();
        const quantized = inWorkspace('checkpoints', 'quantized');
        const sources = (): string[] => checkpoints.sources.map(({ fsPath }) => path.basename(fsPath));
        cpSync(inWorkspace('checkpoints', CHECKPOINT), quantized, { recursive: true });
        const config = JSON.parse(readFileSync(path.join(quantized, 'config.json'), 'utf8')) as object;
        writeFileSync(path.join(quantized, 'config.json'), JSON.stringify({ ...config, quantization_config: { quant_method: 'compressed-tensors' } }));
        await until('the copy to be known', async () => (await names()).includes('quantized'));
        await checkpoints.refresh();
        assert.deepEqual(sources(), [CHECKPOINT]);
        rmSync(quantized, { recursive: true });
        await until('the copy to be forgotten', async () => !(await names()).includes('quantized'));
    });

    it('are known by their folder and by every file in it', async () => {
        const { checkpoints } = await workbenchApi();
        const folder = vscode.Uri.file(inWorkspace('checkpoints', CHECKPOINT));
        for (const uri of [folder, vscode.Uri.joinPath(folder, 'config.json'), vscode.Uri.joinPath(folder, 'model.safetensors')]) {
            assert.equal(checkpoints.containing(uri)?.fsPath, folder.fsPath);
        }
        assert.equal(checkpoints.containing(vscode.Uri.joinPath(folder, '..')), undefined);
    });

    it('appear when they are copied in, and go when a file or the folder goes', async () => {
        const copy = inWorkspace('checkpoints', 'copy');
        const original = inWorkspace('checkpoints', CHECKPOINT);
        const known = (wanted: boolean): Promise<boolean> => until(`copy to be ${wanted ? 'known' : 'forgotten'}`, async () => (await names()).includes('copy') === wanted);
        cpSync(original, copy, { recursive: true });
        await known(true);
        unlinkSync(path.join(copy, 'config.json'));
        await known(false);
        cpSync(original, copy, { recursive: true });
        await known(true);
        rmSync(copy, { recursive: true });
        await known(false);
    });
});
