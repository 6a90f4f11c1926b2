// A run is a process of its own: it outlives the window, is found again, and can be cancelled, resumed and killed.
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { copyWorkspace, samples, Workbench, withWorkbench, type Workspace } from '../rig';
import { cleanUp, holdAtBlock, kill, letGo, readResult, readRun, runDirectories, RunsView, runThat, RUN_TIME, SensitivityView, writeRecipe } from './parts';

describe('a run', function () {
    this.timeout(RUN_TIME);
    let workspace: Workspace;
    let workbench: Workbench;
    let runs: RunsView;
    let panel: SensitivityView;

    before(async () => {
        workspace = copyWorkspace(samples);
        for (const name of ['reloaded', 'cancelled', 'killed', 'left', 'right']) writeRecipe(workspace, name);
        workbench = await Workbench.open({ workspace });
        runs = new RunsView(workbench);
        panel = new SensitivityView(workbench);
    });
    cleanUp(() => ({ workbench, workspace }));

    async function start(name: string): Promise<string> {
        await workbench.openFile(`${name}.quant.yaml`);
        await workbench.command('Quant: Run Recipe');
        await runs.open();
        return holdAtBlock(workspace, name);
    }

    it('goes on while the window is reloaded, and its panel comes back as it was', async () => {
        const directory = await start('reloaded');
        await runs.waitForStatus('reloaded', /^measure \d\/\d/);
        await workbench.command('Quant: Open Results');
        await panel.frame.locator('button[data-view=table]').click();
        await panel.table.locator('th').filter({ hasText: 'rtn-w3a16' }).click();
        const cell = panel.table.locator('td[data-candidate=rtn-w4a16]').first();
        await cell.click();
        const layer = await cell.getAttribute('data-layer');
        const before = await panel.cells();
        assert.ok(before.length >= 3 && layer !== null);

        await workbench.reload();
        await panel.table.waitFor();
        await workbench.waitFor('the same cells in the same order', async () => JSON.stringify(await panel.cells()) === JSON.stringify(before));
        assert.equal(await panel.table.locator('th[aria-sort=ascending], th[aria-sort=descending]').innerText(), 'rtn-w3a16');
        assert.equal(await panel.table.locator('td[aria-selected=true]').getAttribute('data-layer'), layer);
        await runs.open();
        await runs.waitForStatus('reloaded', /^measure \d\/\d/);
        await workbench.statusItem(/Quant: measure \d\/\d/).waitFor();

        letGo(directory);
        await runs.waitForStatus('reloaded', /^done · /, RUN_TIME);
        const measured = readResult(directory).layers.filter(({ candidates }) => candidates['rtn-w3a16']).length;
        await workbench.waitFor('all layers in the panel', async () => (await panel.cells()).filter(({ candidate, text }) => candidate === 'rtn-w3a16' && text !== '').length === measured);
        assert.ok(measured > before.length / 3);
    });

    it('is found again from disk by another window', async () => {
        const [directory = ''] = runDirectories(workspace, 'reloaded');
        await withWorkbench({ workspace }, async (another) => {
            const view = new RunsView(another);
            await view.open();
            await view.waitForStatus('reloaded', /^done · /);
            await view.row('reloaded').click();
            const restored = new SensitivityView(another);
            await restored.waitForColors(30);
            await restored.frame.locator('button[data-view=table]').click();
            const { layers } = readResult(directory);
            const shown = (await restored.cells()).find(({ layer, candidate }) => layer === layers[0]?.name && candidate === 'gptq-w4a16');
            assert.equal(shown?.text, layers[0]?.candidates['gptq-w4a16']?.sqnr_db?.toFixed(2));
            assert.deepEqual(another.violations, []);
        });
    });

    it('shows at once that it is being cancelled, ends resumable, and is finished by Resume', async () => {
        const directory = await start('cancelled');
        await runs.waitForStatus('cancelled', /^measure/);
        await runs.act('cancelled', 'Cancel Run');
        // The process is held and cannot have answered yet.
        await runs.waitForStatus('cancelled', /^Cancelling… · /);
        letGo(directory);
        await runs.waitForStatus('cancelled', /^cancelled · /, RUN_TIME);
        assert.deepEqual([readRun(directory)?.state, readRun(directory)?.resumable], ['cancelled', true]);
        assert.ok(!existsSync(workspace.path('output', 'cancelled')));

        await runs.act('cancelled', 'Resume Run');
        await runThat(workspace, 'cancelled', 'is done', ({ state }) => state === 'done');
        await runs.waitForStatus('cancelled', /^done · /);
        assert.ok(existsSync(workspace.path('output', 'cancelled', 'model.safetensors')));
    });

    it('that was killed is not shown as running, and can be resumed', async () => {
        const directory = await start('killed');
        kill(directory);
        await runs.waitForStatus('killed', /^interrupted · /);
        const notice = await workbench.notification('The run of killed ended without finishing.');
        await notice.getByRole('button', { name: 'Resume' }).waitFor();
        await workbench.hideNotifications();
        assert.ok((await runs.actions('killed')).some((action) => action.startsWith('Resume Run')));
        assert.ok(!existsSync(workspace.path('output', 'killed')));
    });

    it('is deleted by key or menu after a question, and its checkpoint stays', async () => {
        const [directory = ''] = runDirectories(workspace, 'cancelled');
        const dialog = workbench.page.locator('.monaco-dialog-box');
        await runs.open();
        // The run that has the focus, though another one is selected.
        await runs.row('killed').click();
        await workbench.page.keyboard.press('ArrowDown');
        await workbench.page.keyboard.press('Delete');
        assert.match(await dialog.innerText(), /Delete the run of cancelled from [^]*runs\/\S+-cancelled, with its results and log, is deleted for good\.[^]*output\/cancelled stays\./);
        await dialog.getByRole('button', { name: 'Cancel' }).click();
        assert.ok(existsSync(directory));

        await runs.choose('cancelled', 'Delete Run…');
        await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
        await runs.row('cancelled').waitFor({ state: 'detached' });
        assert.ok(!existsSync(directory));
        assert.ok(existsSync(workspace.path('output', 'cancelled', 'model.safetensors')));
    });

    it('is not deleted while it goes on', async () => {
        const directory = await start('right');
        await runs.waitForStatus('right', /^measure/);
        assert.ok(!(await runs.menu('right')).includes('Delete Run…'));
        await runs.row('right').click();
        await workbench.page.keyboard.press('Delete');
        await workbench.notification('right is running. Cancel it before you delete it.');
        await workbench.hideNotifications();
        assert.equal(await workbench.page.locator('.monaco-dialog-box').count(), 0);
        kill(directory);
        await runs.waitForStatus('right', /^interrupted · /);
        rmSync(directory, { recursive: true });
    });

    it('is that of the lens which is clicked, whichever editor is active', async () => {
        await workbench.openFile('left.quant.yaml');
        await workbench.openFile('right.quant.yaml');
        await workbench.command('View: Move Editor into Next Group');
        const groups = workbench.page.locator('.editor-group-container');
        const left = groups.filter({ has: workbench.page.locator('.tab.active[data-resource-name="left.quant.yaml"]') });
        await workbench.waitFor('the right one to be active', async () => (await groups.filter({ hasText: 'right.quant.yaml' }).getAttribute('class'))?.split(' ').includes('active') === true);
        await left.locator('.codelens-decoration a').filter({ hasText: /^ ?Run$/ }).click();
        kill(await holdAtBlock(workspace, 'left'));
        assert.deepEqual(runDirectories(workspace, 'right'), []);
    });

    it('never breaks a content security policy', () => {
        assert.deepEqual(workbench.violations, []);
    });
});
