import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root, Workbench } from '../rig';

const titles = JSON.parse(readFileSync(path.join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;

describe('the workbench', () => {
    let workbench: Workbench;

    before(async () => {
        workbench = await Workbench.open();
    });
    after(() => workbench?.close());

    it('shows the files of the samples', async () => {
        await workbench.explorer.row('mixed.quant.yaml').waitFor();
        await workbench.explorer.row('checkpoints').waitFor();
    });

    it('knows a recipe by its name', async () => {
        await workbench.openFile('mixed.quant.yaml');
        await workbench.editor.waitForMode('Quant Recipe');
    });

    it('finds the commands of the extension in the palette', async () => {
        assert.ok(await workbench.waitFor('the palette', () => workbench.hasCommand(`Quant: ${titles['command.doctor']}`)));
    });

    it('keeps to its content security policies', () => {
        assert.deepEqual(workbench.violations, []);
    });
});
