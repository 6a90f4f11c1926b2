// Runs that cannot work: the cause is said, in the recipe and in a message, and nothing half-written stays.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, truncateSync } from 'node:fs';
import { Workbench } from '../rig';
import { endRuns, holdAtBlock, keepPicture, letGo, lineOf, runDirectories, RunsView, RUN_TIME, waitForProblem, writeRecipe } from './parts';

describe('a run that fails', function () {
    this.timeout(RUN_TIME);
    let workbench: Workbench;

    before(async () => {
        workbench = await Workbench.open();
        const { workspace } = workbench;
        cpSync(workspace.path('checkpoints', 'tiny-llama-pydoc'), workspace.path('checkpoints', 'truncated'), { recursive: true });
        truncateSync(workspace.path('checkpoints', 'truncated', 'model.safetensors'), 1_000_000);
        writeRecipe(workspace, 'truncated', 'checkpoints/truncated');
        writeRecipe(workspace, 'late');
    });
    afterEach(async function () {
        await keepPicture(this, workbench);
    });
    after(async () => {
        if (workbench) endRuns(workbench.workspace);
        await workbench?.close();
    });

    it('says before it begins that the checkpoint is broken, and where the recipe names it', async () => {
        const { workspace, editor } = workbench;
        await workbench.openFile('truncated.quant.yaml');
        await editor.squiggles('error').first().waitFor();
        const problem = await waitForProblem(workbench, /checkpoints\/truncated/);
        assert.match(problem, /\[Ln 1, Col 8\]/);

        await workbench.command('Quant: Run Recipe');
        const message = await workbench.notification(/truncated\.quant\.yaml was not run: line 1: .*model\.safetensors/, RUN_TIME);
        await message.getByRole('button', { name: 'Show Log' }).waitFor();
        await editor.goTo(3);
        await message.getByRole('button', { name: 'Show Problem' }).click();
        await workbench.page.locator('[id="status.editor.selection"]').getByText('Ln 1, Col 8').waitFor();
        await workbench.hideNotifications();
        assert.ok(!existsSync(workspace.path('output')));
        assert.deepEqual(runDirectories(workspace, 'truncated'), []);
    });

    it('says on the line of the recipe why it could not be finished, and leaves what is not its own alone', async () => {
        const { workspace, editor } = workbench;
        const file = workspace.path('late.quant.yaml');
        const runs = new RunsView(workbench);
        await workbench.openFile('late.quant.yaml');
        await workbench.command('Quant: Run Recipe');
        const directory = await holdAtBlock(workspace, 'late');
        // Somebody else takes the name meanwhile.
        mkdirSync(workspace.path('output', 'late'), { recursive: true });
        letGo(directory);
        await runs.open();
        await runs.waitForStatus('late', /^failed · /, RUN_TIME);
        await workbench.notification(/The run of late failed: .*output\/late/);
        await workbench.hideNotifications();
        const problem = await waitForProblem(workbench, /quant run.*output-exists/);
        assert.match(problem, new RegExp(`\\[Ln ${lineOf(file, 'output:')}, Col 9\\]`));
        assert.deepEqual(readdirSync(workspace.path('output')), ['late']);
        assert.deepEqual(readdirSync(workspace.path('output', 'late')), []);
        assert.equal(await editor.area.isVisible(), true);
    });
});
