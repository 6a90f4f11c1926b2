// Results that somebody made elsewhere, here from the command line: opened in a workspace that is not trusted, and in every theme.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyWorkspace, root, samples, themes, Workbench, type Workspace } from '../rig';
import { endRuns, engineProcesses, keepPicture, RunsView, RUN_TIME, SensitivityView, writeRecipe } from './parts';
import { venvPython } from '../../scripts/lib/paths.mjs';

describe('a stored result', function () {
    this.timeout(RUN_TIME);
    let workspace: Workspace;
    let workbench: Workbench | undefined;

    before(() => {
        workspace = copyWorkspace(samples);
        writeRecipe(workspace, 'stored');
        execFileSync(venvPython, ['-m', 'quant_engine', 'run', 'stored.quant.yaml'], {
            cwd: workspace.folder, env: { ...process.env, PYTHONPATH: `${root}/engine` }, stdio: ['ignore', 'ignore', 'pipe'], timeout: RUN_TIME,
        });
    });
    afterEach(async function () {
        await keepPicture(this, workbench);
        await workbench?.close();
        workbench = undefined;
    });
    after(() => {
        if (workspace) endRuns(workspace);
        workspace?.remove();
    });

    it('opens in a workspace that is not trusted, where nothing is started until it is trusted', async () => {
        workbench = await Workbench.open({ workspace, trust: false });
        const { explorer, server } = workbench;
        const processes = () => engineProcesses(workspace, server.pid);
        const runs = new RunsView(workbench);
        await runs.open();
        await runs.waitForStatus('stored', /^done · /);
        await runs.row('stored').click();
        await new SensitivityView(workbench).waitForColors(30);
        for (const command of ['Quant: Quantize…', 'Quant: Run Recipe', 'Quant: Start Engine']) assert.ok(!(await workbench.hasCommand(command)), command);
        await workbench.command('View: Show Explorer');
        await explorer.expand('checkpoints');
        assert.ok(!(await explorer.menu('tiny-llama-pydoc')).includes('Quantize…'));
        assert.deepEqual(processes(), []);

        await workbench.trustWorkspace();
        await workbench.command('Quant: Start Engine');
        await workbench.waitFor('the engine', () => processes().length > 0, 180_000);
        await workbench.command('View: Show Explorer');
        await workbench.waitFor('Quantize… in the menu', async () => (await explorer.menu('tiny-llama-pydoc')).includes('Quantize…'));
        assert.deepEqual(workbench.violations, []);
    });

    it('is painted anew in each theme', async () => {
        workbench = await Workbench.open({ workspace });
        const { violations } = workbench;
        const runs = new RunsView(workbench);
        const panel = new SensitivityView(workbench);
        await runs.open();
        await runs.row('stored').click();
        const seen = new Set<string>();
        for (const theme of themes) {
            await workbench.theme(theme);
            // The body names the theme at once; the map follows in its next frame.
            await workbench.waitFor(`the map in ${theme}`, async () => {
                const colors = await panel.waitForColors(30);
                return !seen.has(colors.join()) && seen.add(colors.join());
            });
            const background = await panel.frame.locator('body').evaluate((body) => getComputedStyle(body).getPropertyValue('--vscode-editor-background'));
            const channels = background.match(/[0-9a-f]{2}/gi)?.map((digits) => Number.parseInt(digits, 16)) ?? [];
            assert.equal(Math.min(...channels) > 127, theme.includes('Light'), `${theme}: ${background}`);
        }
        assert.equal(seen.size, themes.length);
        assert.deepEqual(violations, []);
    });
});
