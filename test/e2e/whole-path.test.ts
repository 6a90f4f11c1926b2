// The path that the product is for, by mouse and keyboard: checkpoint → recipe → run → panel and hints → quantized checkpoint.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { decimals } from '../../protocol/decimals';
import { until, Workbench } from '../rig';
import {
    cleanUp, fix, lineOf, problems, quick, readResult, runDirectories, RunsView, runThat, RUN_TIME, save, SensitivityView, typeOver, waitForProblem,
} from './parts';

const checkpoint = 'tiny-llama-pydoc';
const recipe = `${checkpoint}.quant.yaml`;
const candidates = ['rtn-w4a16', 'gptq-w4a16', 'rtn-w3a16', 'gptq-w3a16'];
const output = 'output/by-hand';

describe('from a checkpoint to a quantized checkpoint', function () {
    this.bail(true);
    this.timeout(RUN_TIME);
    let workbench: Workbench;
    let runs: RunsView;
    let panel: SensitivityView;
    let run: string;

    before(async () => {
        workbench = await Workbench.open();
        workbench.workspace.write('checkpoints/only-notes/config.json', '{}');
        runs = new RunsView(workbench);
        panel = new SensitivityView(workbench);
    });
    cleanUp(() => ({ workbench }));

    it('offers Quantize… on the checkpoint, and on no other folder', async () => {
        const { explorer } = workbench;
        await explorer.expand('checkpoints');
        // In the first menu, whether or not the extension has looked at the workspace by then.
        assert.ok((await explorer.menu(checkpoint)).includes('Quantize…'));
        for (const other of ['checkpoints', 'calibration.jsonl']) {
            assert.ok(!(await explorer.menu(other)).includes('Quantize…'), `Quantize… is in the menu of ${other}`);
        }
        await explorer.row('only-notes').waitFor();
        await workbench.waitFor('no Quantize… on a folder without weights', async () => !(await explorer.menu('only-notes')).includes('Quantize…'));
        assert.ok((await explorer.menu(checkpoint)).includes('Quantize…'));
    });

    it('asks what to compare, what to apply and where to write, and opens a recipe', async () => {
        const { explorer, quick: question, editor } = workbench;
        await explorer.choose(checkpoint, 'Quantize…');
        await question.asked('What should the sensitivity panel compare');
        assert.deepEqual((await question.labels()).slice(0, 6), ['gptq-w4a16', 'awq-w4a16', 'rtn-w4a16', 'gptq-w3a16', 'awq-w3a16', 'rtn-w3a16']);
        await question.pickMany(candidates);
        await question.asked('Which one should be applied');
        assert.deepEqual((await question.labels()).filter((label) => !candidates.includes(label)), []);
        assert.match(await question.row('gptq-w4a16').innerText(), /4\.125 bits per weight · about [\d.]+ MB instead of [\d.]+ MB · recommended/);
        await question.pick('gptq-w4a16');
        await question.asked('Folder for the quantized checkpoint');
        await question.answer(output);

        await editor.shown(recipe);
        await editor.waitForMode('Quant Recipe');
        const text = readFileSync(workbench.workspace.path(recipe), 'utf8');
        assert.match(text, /^# /);
        for (const candidate of candidates) assert.match(text, new RegExp(`^ {2}- ${candidate}$`, 'm'));
        assert.match(text, /^ {2}default: gptq-w4a16$/m);
        // The lens is the language server's: once it is there, the recipe was looked at.
        await editor.lenses().filter({ hasText: 'Run' }).waitFor();
        assert.equal(await editor.squiggles('error').count(), 0);
        assert.equal(await editor.squiggles('warning').count(), 0);
    });

    it('marks a key that does not exist while it is typed, until it is corrected', async () => {
        const { editor, workspace } = workbench;
        const file = workspace.path(recipe);
        const line = lineOf(file, 'samples:');
        await typeOver(workbench, file, line, `  sampels: ${quick.samples}`);
        await editor.squiggles('error').first().waitFor();
        await waitForProblem(workbench, /sampels/);
        await editor.goTo(line, 4);
        await fix(workbench, /Change to samples/);
        await editor.squiggles('error').first().waitFor({ state: 'detached' });
        await save(workbench, file, (saved) => saved.includes(`\n  samples: ${quick.samples}\n`));
    });

    it('marks a pattern that matches no layer, and knows which one was meant', async () => {
        const { editor, workspace } = workbench;
        const file = workspace.path(recipe);
        await typeOver(workbench, file, lineOf(file, '# rules:'), '  rules:');
        await typeOver(workbench, file, lineOf(file, '#   - layers:'), '    - layers: "*.mlp.down_prj"');
        await typeOver(workbench, file, lineOf(file, '#     use: none'), '      use: none');
        await editor.squiggles('warning').first().waitFor();
        await waitForProblem(workbench, /down_prj/);
        await editor.goTo(lineOf(file, '- layers:'), 20);
        await fix(workbench, /Change to "\*\.mlp\.down_proj"/);
        await editor.squiggles('warning').first().waitFor({ state: 'detached' });
        await workbench.waitFor('the number of layers', async () => hintBehind('"*.mlp.down_proj"', '5 layers').test(await editor.text()));
        await save(workbench, file, (saved) => saved.includes('    - layers: "*.mlp.down_proj"\n'));
        await workbench.waitFor('no problem to be left', async () => (await problems(workbench)).length === 0);
    });

    it('runs from the code lens, and says how far it is', async () => {
        const { editor, page, workspace } = workbench;
        const file = workspace.path(recipe);
        await typeOver(workbench, file, lineOf(file, 'sequence_length:'), `  sequence_length: ${quick.tokens}`);
        await typeOver(workbench, file, lineOf(file, 'samples:', 2), `  samples: ${quick.samples}`);
        await typeOver(workbench, file, lineOf(file, 'sequence_length:', 2), `  sequence_length: ${quick.tokens}`);
        await page.keyboard.press('Control+j');
        await page.locator('.markers-panel').waitFor({ state: 'hidden' });
        await runs.open();
        await editor.goTo(1);
        const counter = /(prepare|measure|quantize|evaluate|write) \d+\/\d+/;
        const shown = Promise.all([
            runs.waitForStatus(checkpoint, counter, 240_000),
            workbench.statusItem(new RegExp(`Quant: ${counter.source}`)).waitFor({ timeout: 240_000 }),
            editor.lenses().filter({ hasText: /Cancel/ }).waitFor({ timeout: 240_000 }),
        ]);
        shown.catch(() => undefined);
        // A click that meets the lens while the editor draws it anew is lost; a person clicks again.
        const lens = editor.lenses().filter({ hasText: /^ ?Run$/ });
        const begun = (): boolean => runDirectories(workspace, checkpoint).length > 0;
        for (let clicks = 0; clicks < 3 && !begun(); clicks++) {
            await lens.click();
            await until('the run to begin', begun, 60_000).catch(() => undefined);
        }
        await shown;
        run = await runThat(workspace, checkpoint, 'is done', ({ state }) => state === 'done');
        await runs.waitForStatus(checkpoint, /^done · /);
        await workbench.statusItem('Quant: idle').waitFor();
    });

    it('paints the heat map beside the recipe', async () => {
        const { editor, page } = workbench;
        await editor.lenses().filter({ hasText: 'Show last result' }).click();
        await panel.shown();
        await panel.map.waitFor();
        // 36 layers × 4 candidates, of which no two are alike.
        await panel.waitForColors(40);
        const beside = await page.locator('.editor-group-container').count();
        assert.equal(beside, 2);
    });

    it('says in the table, reached by keyboard, exactly what result.json says', async () => {
        const { page } = workbench;
        await panel.frame.locator('quant-run-header').click();
        await panel.tabTo('the switch between map and table', ({ data }) => data.view === 'map');
        await page.keyboard.press('ArrowRight');
        await panel.table.waitFor();

        const { layers } = readResult(run);
        assert.ok(layers.length >= 36);
        const cells = (await panel.cells()).filter(({ candidate }) => candidates.includes(candidate));
        assert.equal(cells.length, layers.length * candidates.length);
        for (const { layer, candidate, text, exact } of cells) {
            const measured = layers.find(({ name }) => name === layer)?.candidates[candidate]?.sqnr_db;
            const kept = layers.find(({ name }) => name === layer)?.candidates[candidate] === undefined;
            assert.equal(text, kept ? '' : measured === undefined || measured === null ? undefined : decimals(measured, 2), `${layer} ${candidate}`);
            assert.equal(exact, kept ? '' : String(measured), `${layer} ${candidate}`);
        }
    });

    it('leads by arrow keys to a cell of the table', async () => {
        const { page } = workbench;
        await panel.tabTo('the table', ({ data }) => data.row !== undefined);
        await page.keyboard.press('Control+Home');
        for (const key of ['ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
        // Past what was applied and reached.
        for (let step = 0; step < 12 && (await panel.focused()).data.candidate !== 'gptq-w4a16'; step++) await page.keyboard.press('ArrowRight');
        const wanted = readResult(run).layers[2];
        const value = wanted?.candidates['gptq-w4a16']?.sqnr_db;
        assert.ok(wanted && value);
        await workbench.waitFor('the focus on the cell', async () => {
            const { data, text } = await panel.focused();
            return data.layer === wanted.name && data.candidate === 'gptq-w4a16' && text === decimals(value, 2);
        });
    });

    it('writes what the run measured into the recipe', async () => {
        const { editor } = workbench;
        const { layers } = readResult(run);
        const achieved = layers.filter(({ rule }) => rule === 'default').map(({ achieved: measured }) => measured?.sqnr_db ?? Number.NaN);
        const lowest = decimals(Math.min(...achieved), 1);
        assert.match(lowest, /^\d+\.\d$/);
        await workbench.panels.tab(recipe).click();
        await workbench.waitFor('the hint behind the default', async () => {
            const text = await editor.text();
            return hintBehind('default: gptq-w4a16', `→ min ${lowest} dB`).test(text) || Promise.reject(new Error(text));
        });
        for (const candidate of candidates) {
            const values = layers.flatMap((layer) => layer.candidates[candidate]?.sqnr_db ?? []);
            const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
            assert.match(await editor.text(), hintBehind(`- ${candidate}`, `mean ${decimals(mean, 1)}, min ${decimals(Math.min(...values), 1)} dB`));
        }
    });

    it('has written a compressed-tensors checkpoint', () => {
        const { workspace } = workbench;
        const config = JSON.parse(readFileSync(workspace.path(output, 'config.json'), 'utf8')) as { quantization_config?: { quant_method?: string } };
        assert.equal(config.quantization_config?.quant_method, 'compressed-tensors');
        assert.ok(existsSync(workspace.path(output, 'model.safetensors')));
    });

    it('is no mistake afterwards: the folder is only pointed out, and another run asks where to write', async () => {
        const { editor, page, quick: question, workspace } = workbench;
        await workbench.waitFor('the folder to be pointed out', async () => (await editor.squiggles('info').count()) > 0);
        assert.equal(await editor.squiggles('error').count(), 0);
        const before = readdirSync(workspace.path('runs'));
        await workbench.command('Quant: Run Recipe');
        await question.asked(`${output} exists already`);
        assert.deepEqual(await question.labels(), [`Write to ${output}-2`, 'Edit the recipe']);
        await page.keyboard.press('Escape');
        await question.widget.waitFor({ state: 'hidden' });
        assert.deepEqual(readdirSync(workspace.path('runs')), before);
    });

    it('has met no error on the way', async () => {
        assert.deepEqual(workbench.violations, []);
        await workbench.notifications();
        const errors = workbench.page.locator('.notifications-center .notification-list-item-icon.codicon-error');
        assert.equal(await errors.count(), 0);
        await workbench.hideNotifications();
    });
});

/** Text of the recipe with a hint behind it; the distance between them is not made of spaces. */
function hintBehind(text: string, hint: string): RegExp {
    const escape = (part: string) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return new RegExp(`${escape(text)}\\s?${escape(hint)}`);
}
