// What a recipe offers in the editor beside running it: Estimate, Measure, a Pareto point of what was measured; and what a workspace that is not trusted keeps of it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { copyWorkspace, samples, Workbench, type Workspace } from '../rig';
import { cleanUp, engineProcesses, fix, lineOf, readResult, runDirectories, runThat, RUN_TIME, save, SensitivityView, waitForProblem, writeRecipe } from './parts';

const recipe = 'offered.quant.yaml';

describe('the lenses and points of a recipe', function () {
    this.timeout(RUN_TIME);
    let workspace: Workspace;
    let workbench: Workbench;

    before(async () => {
        workspace = copyWorkspace(samples);
        writeRecipe(workspace, 'offered');
        const written = readFileSync(workspace.path(recipe), 'utf8');
        workspace.write(recipe, written.replace('quantize: { default: gptq-w4a16 }', 'quantize:\n  default: gptq-w4a16'));
        workbench = await Workbench.open({ workspace });
        await workbench.openFile(recipe);
    });
    cleanUp(() => ({ workbench, workspace }));

    it('estimate sizes, time and memory in a page beside nothing else, and leave no run', async () => {
        const { editor, page } = workbench;
        await editor.lenses().filter({ hasText: /^ ?Estimate$/ }).click();
        await page.locator('.tab.active').filter({ hasText: /estimate-offered/ }).waitFor({ timeout: 120_000 });
        const shown = page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
        await shown.locator('h1', { hasText: recipe }).waitFor();
        assert.match(await shown.locator('table').first().innerText(), /Original\s+[\d.]+ MB[^]*Output\s+[\d.]+ MB\s+4\.125/);
        assert.match(await shown.locator('table').nth(1).innerText(), /Phase\s+Time\s+Memory[^]*measure\s+[\d.]+ s\s+[\d.]+ [MG]B/);
        assert.deepEqual(runDirectories(workspace, 'offered'), []);
        await workbench.command('View: Close Editor');
        await editor.shown(recipe);
    });

    it('measure every candidate on every layer and write no checkpoint', async () => {
        const { editor } = workbench;
        await editor.lenses().filter({ hasText: /Measure sensitivity/ }).click();
        const directory = await runThat(workspace, 'offered', 'is done', ({ state }) => state === 'done');
        const { layers, candidates } = readResult(directory);
        assert.ok(layers.length >= 35 && layers.every((layer) => candidates.every((label) => label in layer.candidates)));
        assert.ok(!existsSync(workspace.path('output', 'offered')));
        await editor.lenses().filter({ hasText: /Show last result \(SQNR/ }).click();
        await new SensitivityView(workbench).waitForColors(30);
        // The panel opens beside the recipe.
        await workbench.panels.tab(recipe).click();
        await editor.shown(recipe);
    });

    it('write a point of what was measured as default and rules, in one step that can be undone', async () => {
        const { editor, page, quick: question } = workbench;
        const file = workspace.path(recipe);
        const before = readFileSync(file, 'utf8');
        await workbench.command('Quant: Replace Rules by Pareto Point…');
        await question.asked('Replace Rules by Pareto Point');
        const labels = await question.labels();
        const { pareto, run } = readResult(runDirectories(workspace, 'offered')[0]!);
        const points = pareto!.points;
        const middle = points.findIndex(({ assignment }) => new Set(assignment).size > 1) + 1;
        assert.ok(middle > 0, 'some point mixes candidates');
        assert.match(labels[0]!, new RegExp(`^Point 1 of ${points.length}: [\\d.]+ bits per weight, [\\d.]+ MB`));
        await question.input.fill(`Point ${middle} of ${points.length}`);
        await question.pick(new RegExp(`^Point ${middle} of ${points.length}:`));
        await question.widget.waitFor({ state: 'hidden' });
        await workbench.waitFor('the rules', async () => (await editor.text()).includes(`Point ${middle} of ${points.length} of run`));
        await save(workbench, file, (saved) => saved.includes(`    # Point ${middle} of ${points.length} of run ${run}`));
        assert.equal(await editor.squiggles('error').count(), 0);
        await editor.goTo(1);
        await page.keyboard.press('Control+z');
        await save(workbench, file, (saved) => saved === before);
    });

    it('never break a content security policy', () => {
        assert.deepEqual(workbench.violations, []);
    });
});

describe('a recipe in a workspace that is not trusted', function () {
    this.timeout(RUN_TIME);
    let workspace: Workspace;
    let workbench: Workbench;

    before(async () => {
        workspace = copyWorkspace(samples);
        writeRecipe(workspace, 'doubtful');
        workbench = await Workbench.open({ workspace, trust: false });
    });
    cleanUp(() => ({ workbench, workspace }));

    it('is checked, explained, completed and fixed without any process of the engine, and offers nothing that starts one', async () => {
        const { editor, page, server } = workbench;
        const file = workspace.path('doubtful.quant.yaml');
        await workbench.openFile('doubtful.quant.yaml');
        await workbench.waitFor('the size behind quantize', async () => /quantize:\s?4\.125 bits/.test(await editor.text()));
        const line = lineOf(file, 'quantize');
        const text = readFileSync(file, 'utf8').split('\n')[line - 1]!;
        await editor.goTo(line, text.indexOf('gptq-w4a16') + 1);
        await workbench.command('Show or Focus Hover');
        await page.locator('.monaco-hover:not(.hidden)').getByText('bits for each weight').waitFor();
        await page.keyboard.press('Escape');

        await editor.goTo(line, text.indexOf(' }') + 1);
        await editor.insert(', rules: [{ layers: "*.mlp.down_prj", use: none }]');
        await waitForProblem(workbench, /matches no layer/);
        await editor.goTo(line, text.indexOf(' }') + 24);
        await fix(workbench, /Change to "\*\.mlp\.down_proj"/);
        await editor.squiggles('warning').first().waitFor({ state: 'detached' });
        await editor.goTo(line, text.indexOf('gptq-w4a16') + 1);
        assert.ok((await editor.complete()).some((label) => label.startsWith('gptq')));
        await page.keyboard.press('Escape');
        assert.deepEqual(await editor.lenses().allInnerTexts(), []);
        assert.deepEqual(engineProcesses(workspace, server.pid), []);
    });

    it('gets its lenses when the workspace is trusted, and keeps what was typed', async () => {
        const { editor } = workbench;
        await workbench.trustWorkspace();
        await workbench.openFile('doubtful.quant.yaml');
        await workbench.waitFor('the lenses', async () => (await editor.lenses().allInnerTexts()).map((text) => text.trim()).join() === 'Run,Measure sensitivity,Estimate');
        await workbench.waitFor('the rule with its count', async () => /"\*\.mlp\.down_proj"\s?5 layers/.test(await editor.text()) || Promise.reject(new Error(await editor.text())));
        assert.deepEqual(workbench.violations, []);
    });
});
