// Runs that cannot work: the cause is said, in the recipe and in a message, and nothing half-written stays.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, truncateSync } from 'node:fs';
import { Workbench } from '../rig';
import { cleanUp, holdAtBlock, letGo, lineOf, runDirectories, RunsView, RUN_TIME, waitForProblem, writeRecipe } from './parts';

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
    cleanUp(() => ({ workbench }));

    it('says before it begins that the checkpoint is broken, and where the recipe names it', async () => {
        const { workspace, editor } = workbench;
        await workbench.openFile('truncated.quant.yaml');
        await editor.squiggles('error').first().waitFor();
        const problem = await waitForProblem(workbench, /checkpoints\/truncated/);
        assert.match(problem, /\[Ln 1, Col 8\]/);

        await editor.goTo(3);
        const lenses = await lensesFromNowOn(workbench);
        await editor.lenses().filter({ hasText: /^ ?Run$/ }).dblclick();
        const told = workbench.statusItem('Quant: truncated was not run');
        await told.waitFor({ timeout: RUN_TIME });
        const cursor = workbench.page.locator('[id="status.editor.selection"]');
        await cursor.getByText('Ln 1, Col 8').waitFor();
        await workbench.page.locator('.monaco-hover:not(.hidden)').getByText(/model\.safetensors/).first().waitFor();
        assert.ok(!existsSync(workspace.path('output')));
        assert.deepEqual(runDirectories(workspace, 'truncated'), []);
        await editor.lenses().filter({ hasText: /^ ?Run$/ }).waitFor();
        const said = await lenses();
        assert.equal(said[0], ' Run');
        // A run that is refused at once may be over before the editor draws its lens.
        assert.deepEqual(said.filter((text) => text !== ' Run' && text !== ' Starting…'), []);

        await editor.goTo(3);
        await told.click();
        await cursor.getByText('Ln 1, Col 8').waitFor();
    });

    it('says it no longer when the recipe is being put right, and never in a message', async () => {
        const { editor } = workbench;
        const told = workbench.statusItem('Quant: truncated was not run');
        await told.waitFor();
        await editor.goTo(1);
        await editor.insert('# edited\n');
        await told.waitFor({ state: 'hidden' });
        await workbench.page.keyboard.press('Control+z');
        await editor.save();
        assert.deepEqual(await workbench.notifications(), []);
        await workbench.hideNotifications();
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
        await workbench.statusItem('Quant: late failed').waitFor();
        const problem = await waitForProblem(workbench, /quant run.*output-exists/);
        assert.match(problem, new RegExp(`\\[Ln ${lineOf(file, 'output:')}, Col 9\\]`));
        assert.deepEqual(readdirSync(workspace.path('output')), ['late']);
        assert.deepEqual(readdirSync(workspace.path('output', 'late')), []);
        assert.equal(await editor.area.isVisible(), true);
    });

    it('is a message to whoever does not look at the recipe', async () => {
        const { workspace } = workbench;
        writeRecipe(workspace, 'aside');
        await workbench.openFile('aside.quant.yaml');
        await workbench.command('Quant: Run Recipe');
        const directory = await holdAtBlock(workspace, 'aside');
        await workbench.command('View: Close All Editors');
        mkdirSync(workspace.path('output', 'aside'), { recursive: true });
        letGo(directory);
        const message = await workbench.notification(/The run of aside failed: .*output\/aside/, RUN_TIME);
        await message.getByRole('button', { name: 'Show Log' }).waitFor();
        await message.getByRole('button', { name: 'Open Recipe' }).click();
        await workbench.editor.shown('aside.quant.yaml');
    });
});

/** What the lens that runs a recipe says, each time that it changes; asked for at the end. */
async function lensesFromNowOn({ page }: Workbench): Promise<() => Promise<string[]>> {
    const read = await page.evaluateHandle(() => {
        const said: string[] = [];
        const look = (): void => {
            const lens = document.querySelector('.codelens-decoration > :is(a, span)')?.textContent?.replaceAll('\u00a0', ' ');
            if (lens && lens !== said.at(-1)) said.push(lens);
        };
        look();
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
        return said;
    });
    return () => read.evaluate((said) => said);
}
