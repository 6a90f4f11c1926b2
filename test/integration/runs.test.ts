import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { Run } from '../../src/runs/run';
import type { WorkbenchApi } from '../../src/workbench';
import { inWorkspace, recipeFor, until, workbenchApi } from './api';

describe('runs', function () {
    this.timeout(600_000);
    let api: WorkbenchApi;

    before(async () => {
        api = await workbenchApi();
    });
    after(async () => {
        await vscode.commands.executeCommand('workbench.action.closeAllEditors');
        rmSync(inWorkspace('runs'), { recursive: true, force: true });
        rmSync(inWorkspace('output'), { recursive: true, force: true });
    });

    function write(name: string, text: string): vscode.Uri {
        const file = inWorkspace(`${name}.quant.yaml`);
        writeFileSync(file, text);
        return vscode.Uri.file(file);
    }

    async function start(recipe: vscode.Uri): Promise<Run> {
        const run = await vscode.commands.executeCommand<Run | undefined>('quant.runRecipe', recipe.toString());
        assert.ok(run, 'the command starts a run');
        return run;
    }

    const state = (run: Run): string | undefined => api.runs.get(run.directory)?.state;
    const reached = (run: Run, ...states: string[]): Promise<unknown> =>
        until(() => `${run.id} to be ${states.join(' or ')}; it is ${state(run)}`, () => states.includes(state(run) ?? ''), 300_000);

    it('go from the command to a checkpoint and a panel', async () => {
        const recipe = write('whole', recipeFor('whole', { evaluate: true }));
        const run = await start(recipe);
        await vscode.commands.executeCommand('quant.openResults', recipe.toString());
        await until('the panel', () => api.panels.visible(run.directory));
        await reached(run, 'done', 'failed');
        const ended = api.runs.get(run.directory);
        assert.deepEqual([ended?.state, ended?.hasResult, ended?.recipe], ['done', true, recipe.fsPath], ended?.record?.error?.message);
        assert.ok(existsSync(inWorkspace('output', 'whole', 'config.json')));
        assert.equal(api.engine()?.progress.open, 0, 'no progress indicator outlives its run');
        await vscode.commands.executeCommand('quant.openResults', recipe);
        assert.equal(api.panels.get(run.directory)?.runDirectory, run.directory);
    });

    it('say on the line of the recipe what a person should know, with a link to what it means', async () => {
        const recipe = write('few', recipeFor('few').replaceAll('rtn-', 'gptq-'));
        await reached(await start(recipe), 'done', 'failed');
        const found = await until('the finding', () => vscode.languages.getDiagnostics(recipe).find(({ source }) => source === 'quant run'));
        assert.ok(typeof found.code === 'object', 'the code has a link');
        const { value, target } = found.code;
        assert.deepEqual([value, found.range.start.line, target.fragment], ['data-few', 1, 'codes-of-runs-and-commands']);
        assert.match(Buffer.from(await vscode.workspace.fs.readFile(target.with({ fragment: '' }))).toString(), /^# Codes of runs and commands$[^]*`data-few`/m);
    });

    it('are found again on disk', async () => {
        const [known] = api.runs.of(inWorkspace('whole.quant.yaml'));
        await vscode.commands.executeCommand('quant.refreshRuns');
        assert.ok(known && api.runs.get(known.directory)?.hasResult);
    });

    it('save the recipe first', async () => {
        const recipe = write('unsaved', recipeFor('unsaved'));
        const editor = await vscode.window.showTextDocument(recipe);
        await editor.edit((edit) => edit.insert(new vscode.Position(0, 0), '# edited\n'));
        const run = await start(recipe);
        assert.equal(editor.document.isDirty, false);
        assert.match(readFileSync(recipe.fsPath, 'utf8'), /^# edited/);
        await vscode.commands.executeCommand('quant.cancelRun', run.directory);
        // Cancelled before its process had written a word, it leaves nothing at all.
        await until('the run to end', () => state(run) === undefined || state(run) === 'cancelled');
    });

    it('are cancelled at the next layer, and go on where they stopped', async () => {
        const recipe = write('cancelled', recipeFor('cancelled', { samples: 96, sequenceLength: 256, evaluate: true }));
        const run = await start(recipe);
        await until('something to go on from', () => api.runs.get(run.directory)?.record?.resumable);
        await vscode.commands.executeCommand('quant.cancelRun', recipe.toString());
        assert.equal(state(run), 'cancelling');
        await reached(run, 'cancelled');
        const cancelled = api.runs.get(run.directory);
        assert.equal(cancelled?.resumable, true);
        assert.equal(existsSync(inWorkspace('output', 'cancelled')), false, 'nothing half-written');
        await vscode.commands.executeCommand('quant.resumeRun', run.directory);
        await until('the run to go on', () => state(run) !== 'cancelled');
        await reached(run, 'done', 'failed', 'cancelled');
        assert.equal(state(run), 'done');
        assert.ok(existsSync(inWorkspace('output', 'cancelled', 'config.json')));
    });

    it('that are refused leave nothing behind', async () => {
        const before = readdirSync(inWorkspace('runs'));
        const recipe = write('refused', recipeFor('refused', { calibration: 'nothing-here.jsonl' }));
        const run = await start(recipe);
        await until('the run to be gone', () => api.runs.get(run.directory) === undefined && !existsSync(run.directory));
        assert.deepEqual(readdirSync(inWorkspace('runs')), before);
        assert.equal(existsSync(inWorkspace('output', 'refused')), false);
        assert.equal(api.engine()?.progress.open, 0);
    });

    it('that lose their process can be told and resumed', async () => {
        const recipe = write('killed', recipeFor('killed', { samples: 256, sequenceLength: 256, evaluate: true }));
        const run = await start(recipe);
        const record = await until('its record', () => api.runs.get(run.directory)?.record);
        // What is killed before anything was done cannot be resumed.
        await until('the first block', () => {
            const now = api.runs.get(run.directory)?.record;
            return now?.resumable && now.progress?.phase === 'measure' && now.progress.done > 0;
        });
        process.kill(record.pid, 'SIGKILL');
        await reached(run, 'interrupted');
        await vscode.commands.executeCommand('quant.resumeRun', run.directory);
        await reached(run, 'done', 'failed');
        assert.equal(state(run), 'done', api.runs.get(run.directory)?.record?.error?.message);
        rmSync(path.join(run.directory), { recursive: true });
        await until('the deletion to be noticed', () => api.runs.get(run.directory) === undefined);
    });
});
