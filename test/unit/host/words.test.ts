import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Result } from '../../../protocol/generated/result';
import { root } from '../../../scripts/lib/paths.mjs';
import { doctorMarkdown } from '../../../src/engine/doctor';
import type { EngineState } from '../../../src/engine/engine';
import { EngineError } from '../../../src/engine/errors';
import { pipCommand } from '../../../src/engine/setUp';
import { STATUS_COMMANDS, statusItem, type StatusMessage } from '../../../src/engine/status';
import { deletionDetail, runItem, runTooltip } from '../../../src/runs/describe';
import { findingProblems, parseFindings, recipeProblems, stillbornCause, stillbornFinding } from '../../../src/runs/problems';
import { newerRun } from '../../../src/runs/newer';
import { resultsSnapshot, runningSnapshot } from '../../../src/runs/publish';
import type { Run } from '../../../src/runs/run';
import { record } from './helpers/runs';

function run(change: Partial<Run> = {}): Run {
    return {
        directory: '/w/runs/1', id: '1', recipe: '/w/a.quant.yaml', name: 'a', state: 'running', progress: record().progress, created: '2026-11-22T07:06:50.000Z',
        resumable: false, stoppable: false, hasResult: false, record: record(), ...change,
    };
}

describe('a run in the Runs view', () => {
    it('has the words that the menus of package.json look for', () => {
        const words = (change: Partial<Run>): string => runItem(run(change), 'en').contextValue;
        assert.equal(words({}), 'run running result');
        assert.equal(words({ state: 'done', hasResult: true }), 'run result checkpoint deletable');
        assert.equal(words({ state: 'cancelling' }), 'run result');
        assert.equal(words({ state: 'cancelling', stoppable: true }), 'run stoppable result');
        assert.equal(words({ state: 'failed' }), 'run deletable');
        assert.equal(words({ state: 'interrupted', resumable: true }), 'run resumable result deletable');
        const manifest = readFileSync(path.join(root, 'package.json'), 'utf8');
        for (const word of ['running', 'stoppable', 'resumable', 'result', 'checkpoint', 'deletable']) assert.match(manifest, new RegExp(`viewItem =~ /\\\\\\\\b${word}\\\\\\\\b/`));
    });

    it('says before it is deleted what goes and what stays', () => {
        const shown = (file: string): string => path.relative('/w', file);
        const done = run({ state: 'done', hasResult: true });
        assert.equal(deletionDetail(done, 'trash', shown), 'Its directory runs/1, with its results and log, is moved to the trash.\n\nThe quantized checkpoint ../ws/output stays.');
        assert.equal(deletionDetail(run({ state: 'failed' }), 'delete', shown), 'Its directory runs/1, with its results and log, is deleted for good.');
        const within = run({ state: 'done', hasResult: true, record: record({ output: '/w/runs/1/output' }) });
        assert.match(deletionDetail(within, 'trash', shown), /So is the quantized checkpoint, which lies in it\.$/);
    });

    it('says how far it is, and what became of it', () => {
        assert.match(runItem(run(), 'en').description, /^quantize 3\/6 · /);
        const progress = { phase: 'measure', done: 1, total: 6, unit: 'blocks', doing: '', seconds_left: 3700 } as const;
        assert.match(runItem(run({ progress }), 'en').description, /^measure 1\/6, 1 h 2 min left · /);
        assert.match(runItem(run({ progress: { ...progress, seconds_left: 59 } }), 'en').description, /^measure 1\/6 · /);
        assert.match(runItem(run({ state: 'cancelling' }), 'en').description, /^Cancelling…/);
        assert.match(runItem(run({ state: 'done-with-fallbacks' }), 'en').description, /^done with fallbacks/);
        assert.match(runItem(run({ state: 'failed' }), 'en').accessibleLabel, /^a, failed, started /);
    });

    it('says the time of a run of today, and the date of an older one', () => {
        const created = new Date(2026, 10, 22, 8, 34);
        const item = (now: Date): string => runItem(run({ created: created.toISOString() }), 'en', now).description;
        assert.match(item(new Date(2026, 10, 22, 23, 59)), / · 8:34\sAM$/);
        assert.match(item(new Date(2026, 10, 23, 0, 1)), / · Nov 22, 2026, 8:34\sAM$/);
    });

    it('keeps its identity while it changes', () => {
        assert.equal(runItem(run(), 'en').id, runItem(run({ state: 'done', hasResult: true }), 'en').id);
    });

    it('shows values from files as text, not as Markdown', () => {
        const hostile = run({ name: '[x](command:quant.doctor)', record: record({ model: '/m/<img src=x>', device: '**cpu**' }) });
        const tooltip = runTooltip(hostile, undefined);
        assert.ok(!tooltip.includes('](command:'));
        assert.doesNotMatch(tooltip, /(^|[^\\])<img/);
        assert.match(tooltip, /\\\*\\\*cpu\\\*\\\*/);
    });
});

describe('what a run says about its recipe', () => {
    const problem = { severity: 'warning', code: 'fallback', message: 'not positive definite', layer: 'model.layers.0.mlp.up_proj', line: 7, column: 12, end_line: 7, end_column: 22 } as const;

    it('stands where the engine says, counted as the editor counts', () => {
        const [found] = recipeProblems(record({ state: 'done-with-fallbacks' }), { problems: [problem] } as unknown as Result);
        assert.deepEqual(found, {
            severity: 'warning', code: 'fallback', message: 'model.layers.0.mlp.up_proj: not positive definite', start: { line: 6, character: 11 }, end: { line: 6, character: 21 },
        });
    });

    it('stands on the first line when it has no place, with the advice', () => {
        const error = { ...problem, severity: 'error', layer: null, line: null, column: null, end_line: null, end_column: null } as const;
        const [found] = recipeProblems(record({ state: 'failed', error, advice: 'Use fewer tokens.' }), undefined);
        assert.deepEqual([found?.start, found?.end, found?.message], [{ line: 0, character: 0 }, undefined, 'not positive definite\nUse fewer tokens.']);
    });

    it('is read from the output of a run that never began', () => {
        const output = 'some noise\n/w/a b.quant.yaml:3:9: warning: odd [no-layer-matches]\n/w/a b.quant.yaml:4:2: error: unknown key "modle" [unknown-key]\n1 error\n';
        assert.deepEqual(parseFindings(output)[1], {
            path: '/w/a b.quant.yaml', line: 4, column: 2, severity: 'error', code: 'unknown-key', message: 'unknown key "modle"', advice: undefined,
        });
        assert.deepEqual(parseFindings(output).map(({ line, severity }) => [line, severity]), [[3, 'warning'], [4, 'error']]);
        assert.equal(stillbornCause(output), 'line 4: unknown key "modle"');
        assert.equal(stillbornCause('Traceback\n  File x\nError: the disk is full\n'), 'the disk is full');
        assert.equal(stillbornCause('Traceback\nMemoryError\n'), 'MemoryError');
        assert.match(stillbornCause(''), /no message/);
    });

    it('comes with what to do, also where the command line does not repeat it', () => {
        const output = [
            'a.quant.yaml:1:8: error: no checkpoint at "x" [model-missing]', '    Correct the path.', 'a.quant.yaml:2:9: error: no file at "y" [data-missing]',
            'a.quant.yaml:3:9: error: no file at "z" [data-missing]', '    Write the file.', 'a.quant.yaml:5:9: error: no file at "u" [data-missing]', 'not indented advice',
        ].join('\r\n');
        assert.deepEqual(parseFindings(output).map(({ advice }) => advice), ['Correct the path.', undefined, 'Write the file.', 'Write the file.']);
        assert.equal(stillbornCause(output), 'line 1: no checkpoint at "x". Correct the path.');
        assert.equal(stillbornFinding(output)?.line, 1);
        assert.equal(stillbornFinding('a.quant.yaml:1:8: warning: odd [no-layer-matches]'), undefined);
        assert.equal(stillbornCause('quant-engine: there is no GPU "cuda:1" [device]\nName one that exists.\n'), 'there is no GPU "cuda:1". Name one that exists.');
    });

    it('stands in the recipe with what to do below', () => {
        assert.deepEqual(findingProblems(parseFindings('a.quant.yaml:2:9: error: too large [disk-space]\n    Free some space.\n')), [
            { severity: 'error', code: 'disk-space', message: 'too large\nFree some space.', start: { line: 1, character: 8 }, end: undefined },
        ]);
    });
});

describe('what the language server is told', () => {
    const uri = (file: string): string => `file://${file}`;
    const runs = [
        run({ directory: '/w/runs/4', id: '4' }),
        run({ directory: '/w/runs/3', id: '3', state: 'failed' }),
        run({ directory: '/w/runs/2', id: '2', state: 'done', hasResult: true }),
        run({ directory: '/w/runs/1', id: '1', state: 'done', hasResult: true }),
        run({ directory: '/w/runs/0', id: '0', state: 'done', hasResult: true, recipe: '/w/b.quant.yaml' }),
    ];

    it('is the newest finished result of each recipe', () => {
        assert.deepEqual(resultsSnapshot(runs, uri).results, { 'file:///w/a.quant.yaml': '/w/runs/2/result.json', 'file:///w/b.quant.yaml': '/w/runs/0/result.json' });
    });

    it('is what runs now, and how far it is', () => {
        assert.deepEqual(runningSnapshot(runs, uri).recipes, { 'file:///w/a.quant.yaml': { run: '4', label: '', stage: 'running', output: '/ws/output' } });
        const unborn = runningSnapshot([run({ directory: '/w/runs/6', id: '6', state: 'starting', record: undefined }), ...runs], uri).recipes['file:///w/a.quant.yaml'];
        assert.deepEqual(unborn, { run: '6', label: '', stage: 'starting', output: undefined });
    });

    it('is the newest run that can be resumed, when none has come after it', () => {
        const cut = run({ directory: '/w/runs/5', id: '5', state: 'interrupted', resumable: true });
        assert.deepEqual(runningSnapshot([cut, ...runs.slice(1)], uri).recipes['file:///w/a.quant.yaml'], { run: '5', label: 'interrupted', stage: 'resumable', output: '/ws/output' });
        assert.deepEqual(runningSnapshot([...runs.slice(1), cut], uri).recipes, {});
    });
});

describe('the newer run that a panel points at', () => {
    const old = run({ directory: '/w/runs/1', state: 'done', hasResult: true });
    const newer = (...others: Run[]): string | undefined => newerRun([...others, old], old.directory)?.directory;

    it('is the one that goes on, else the newest with a result', () => {
        const [active, done, failed] = [run({ directory: 'active' }), run({ directory: 'done', state: 'done', hasResult: true }), run({ directory: 'failed', state: 'failed' })];
        assert.equal(newer(done, active), 'active');
        assert.equal(newer(failed, done), 'done');
        assert.equal(newer(failed), undefined);
        assert.equal(newer(), undefined);
    });

    it('is none for a run that goes on itself, that is the newest, or that is not known', () => {
        const active = run({ directory: 'active' });
        assert.equal(newerRun([run({ directory: 'x' }), active], 'active'), undefined);
        assert.equal(newerRun([old, run({ directory: 'older' })], old.directory), undefined);
        assert.equal(newerRun([active], 'unknown'), undefined);
    });
});

describe('the status bar item', () => {
    const hello = { protocol: 1, engine: '0.1.0', python: '3.12.1', executable: '/py', pid: 5, host: 'gpu-box' };
    const message = (engine: object, change: Partial<StatusMessage> = {}): StatusMessage => ({ engine: engine as EngineState, runs: [], devices: undefined, host: 'gpu_box', fault: undefined, ...change });

    it('is a pure function of one message', () => {
        const texts = [
            message({ kind: 'idle' }), message({ kind: 'starting' }), message({ kind: 'waiting', cause: 'x', milliseconds: 2000 }),
            message({ kind: 'failed', error: new EngineError('python', 'no Python') }), message({ kind: 'idle' }, { runs: [run()] }),
            message({ kind: 'idle' }, { runs: [run(), run()] }),
        ].map((given) => [statusItem(given).text, statusItem(given).severity]);
        assert.deepEqual(texts, [
            ['$(circuit-board) Quant: idle', 'normal'], ['$(loading~spin) Quant: starting', 'normal'], ['$(circuit-board) Quant: restarting', 'warning'],
            ['$(circuit-board) Quant: error', 'error'], ['$(loading~spin) Quant: quantize 3/6', 'normal'], ['$(loading~spin) Quant: 2 runs', 'normal'],
        ]);
    });

    it('tells of a recipe that was not run, until something runs', () => {
        const fault = { title: 'w3 was not run', cause: 'line 4: “sampels” is <not> a key' };
        const item = statusItem(message({ kind: 'idle' }, { fault }));
        assert.deepEqual([item.text, item.severity, item.command], ['$(error) Quant: w3 was not run', 'error', 'quant.showFault']);
        assert.match(item.tooltip, /line 4: “sampels” is \\<not\\> a key/);
        assert.match(item.accessibleLabel, /line 4/);
        assert.equal(statusItem(message({ kind: 'idle' }, { fault, runs: [run()] })).text, '$(loading~spin) Quant: quantize 3/6');
    });

    it('shows the memory of the first GPU, and every device in the tooltip', () => {
        const devices = {
            torch: '2.13.0', process_bytes: 1,
            devices: [{ id: 'cpu', name: 'CPU', total_bytes: 64e9, free_bytes: 32e9 }, { id: 'cuda:0', name: 'RTX', total_bytes: 24e9, free_bytes: 21e9 }],
        };
        const item = statusItem(message({ kind: 'ready', session: { hello } }, { devices }));
        assert.equal(item.text, '$(circuit-board) Quant: idle · 3.0 GB / 24.0 GB');
        assert.match(item.tooltip, /gpu\\_box/);
        assert.match(item.tooltip, /RTX/);
    });

    it('links only to commands that are trusted', () => {
        for (const engine of [{ kind: 'idle' }, { kind: 'ready', session: { hello } }, { kind: 'failed', error: new EngineError('crashed', '[x](command:evil)') }]) {
            const { tooltip } = statusItem(message(engine));
            const commands = [...tooltip.matchAll(/\]\(command:([\w.]+)\)/g)].map(([, command]) => command ?? '');
            assert.ok(commands.length >= 3);
            assert.deepEqual(commands.filter((command) => !(STATUS_COMMANDS as readonly string[]).includes(command)), []);
        }
    });
});

describe('the doctor’s report', () => {
    it('is one table that can be pasted anywhere', () => {
        const text = doctorMarkdown([{ name: 'torch', status: 'fatal', found: 'a|b\nc', advice: 'install it' }], 'about');
        assert.match(text, /\| ❌ fatal \| torch \| a\\\|b c \| install it \|/);
    });

    it('quotes only paths that need it', () => {
        assert.equal(pipCommand('/usr/bin/python3', '/e/constraints.txt'), '/usr/bin/python3 -m pip install -r /e/constraints.txt');
        assert.equal(pipCommand('/my python', '/e f/c.txt'), '"/my python" -m pip install -r "/e f/c.txt"');
    });
});
