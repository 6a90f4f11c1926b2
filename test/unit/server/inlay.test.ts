import assert from 'node:assert/strict';
import type { LayerResult, Measurement, Result } from '../../../protocol/generated/result';
import type { Running } from '../../../server/facts';
import { inlayHints } from '../../../server/inlay';
import { codeLenses } from '../../../server/lens';
import { facts, header, recipe } from './fixture';

const ran = `model: tiny
calibration: { data: c.txt }
candidates: [gptq-w4a16-g32, { method: rtn, scheme: W3A16, group_size: 32 }]
quantize:
  default: gptq-w4a16-g32
  rules:
    - layers: "*.down_proj"
      use: gptq-w8a16-g32
    - { layers: [lm_head, "*.k_proj"], use: none }
output: out
`;

function measured(sqnr: number): Measurement {
    return { of: 'outputs', noise: 1, sqnr_db: sqnr, state: 'finite', bits_per_weight: 4.5, predicted_kl: null, weight_only_db: null, damping: null, fallback: null };
}

/** One result for every layer: block 0 is 10 dB worse than the others. */
function result(changes: Partial<LayerResult> = {}): Result {
    const layers = header().linears.map(({ name, block, outputs, inputs }): LayerResult => {
        const kind = name.split('.').at(-1)!;
        const rule = kind === 'down_proj' ? 0 : kind === 'k_proj' || block === null ? 1 : 'default';
        const asked = rule === 0 ? 'gptq-w8a16-g32' : rule === 1 ? null : 'gptq-w4a16-g32';
        const better = block === 0 ? 0 : 10;
        return {
            name, block, kind, outputs, inputs, group: name, tokens: 10, signal: 1, rule, asked, applied: asked, fallback: null, note: null, damping: null, loss: null,
            candidates: { 'gptq-w4a16-g32': measured(20 + better), 'rtn-w3a16-g32': measured(10 + better) },
            achieved: asked === null ? null : measured((rule === 0 ? 40 : 21) + better), accumulated: null, bits_per_weight: 4.5, ...changes,
        };
    });
    return { run: 'run-1', layers, candidates: ['gptq-w4a16-g32', 'rtn-w3a16-g32'] } as unknown as Result;
}

/** `line: label` of every hint. */
function hints(text: string, known = facts({ result: { result: result(), ran } })): string[] {
    return inlayHints(recipe(text), known).map(({ position, label }) => `${position.line + 1}: ${String(label as string)}`).sort();
}

const counts = ['4: 5.5 bits, 2.31 MB', '7: 3 layers', '9: 1 layer', '9: 3 layers'];

describe('inlay hints', () => {
    it('count the layers of each pattern', () => assert.deepEqual(hints(ran, facts()), counts));

    it('are absent while the header is not known', () => assert.deepEqual(hints(ran, facts({ checkpoints: new Map() })), []));

    it('say what the last run measured: mean and minimum of candidates, the lowest SQNR of rules and default', () => {
        assert.deepEqual(hints(ran), ['3: min 10.0 dB', '3: min 20.0 dB', ...counts.slice(0, 1), '5: → min 21.0 dB', ...counts.slice(1, 2), '8: → min 40.0 dB', ...counts.slice(2)]);
    });

    it('say the SQNR alone where a rule is about one layer', () => {
        const one = ran.replace('"*.down_proj"', 'model.layers.1.mlp.down_proj');
        const known = result();
        const layers = known.layers.map((layer) => (layer.rule === 0 && layer.block !== 1 ? { ...layer, rule: 'default' as const } : layer));
        assert.ok(hints(one, facts({ result: { result: { ...known, layers }, ran: one } })).includes('8: → 50.0 dB'));
    });

    it('name what the run applied where the recipe does not say it', () => {
        const mapping = ran.replace('use: gptq-w8a16-g32', 'use: { method: gptq, scheme: W8A16, group_size: 32 }');
        assert.ok(hints(mapping, facts({ result: { result: result(), ran: mapping } })).includes('8: → gptq-w8a16-g32, min 40.0 dB'));
        const known = result();
        const layers = known.layers.map((layer) => (layer.rule === 0 && layer.block === 1 ? { ...layer, applied: 'rtn-w8a16-g32', fallback: 'not positive definite' } : layer));
        assert.ok(hints(ran, facts({ result: { result: { ...known, layers }, ran } })).includes('8: → 2 methods, min 40.0 dB ⚠'));
    });

    it('are short in a list on one line, where the editor cuts them off', () => {
        const line = (...others: string[]): string => ran.replace(/^candidates:.*$/m, `candidates: [${['gptq-w4a16-g32', ...others].join(', ')}]`);
        const label = (text: string): string | undefined => hints(text, facts({ result: { result: { ...result(), candidates: text.match(/\[(.*)\]/)![1]!.split(', ') }, ran: text } })).find((hint) => hint.startsWith('3:'));
        assert.equal(label(line()), '3: mean 26.8, min 20.0 dB');
        assert.equal(label(line('rtn-w4a16', 'rtn-w3a16')), '3: min 20.0 dB');
        assert.equal(label(line('rtn-w4a16', 'rtn-w3a16', 'rtn-w2a16', 'rtn-w8a16', 'gptq-w8a16')), '3: min 20.0');
        const six = ran.replace(/^candidates:.*$/m, 'candidates: [rtn-w2a16, gptq-w4a16-g32, rtn-w4a16, rtn-w3a16, rtn-w8a16, gptq-w8a16]');
        assert.equal(label(six), '3: 20.0', 'the first of them says what it is');
        assert.equal(label(line('rtn-w4a16', 'rtn-w3a16', 'rtn-w2a16', 'rtn-w8a16', 'gptq-w8a16', 'awq-w4a16', 'awq-w3a16', 'fp8_dynamic', 'rtn-nvfp4a16')), '3: min 20.0');
    });

    it('have more to say in a list with a line for each', () => {
        const block = ran.replace(/^candidates:.*$/m, 'candidates:\n  - gptq-w4a16-g32\n  - { method: rtn, scheme: W3A16, group_size: 32 }');
        const known = facts({ result: { result: result(), ran: block } });
        assert.deepEqual(hints(block, known).filter((hint) => /^[45]:/.test(hint)), ['4: mean 26.8, min 20.0 dB', '5: mean 16.8, min 10.0 dB']);
    });

    it('fit in what the editor shows of one line', () => {
        const room = new Map<string, number>();
        for (const [, line = '', label = ''] of hints(ran).map((hint) => /^(\d+): (.*)$/.exec(hint) ?? [])) room.set(line, (room.get(line) ?? 0) + label.length);
        for (const [line, length] of room) assert.ok(length <= 43, `${length} characters in line ${line}`);
    });

    it('name the worst layer, what was applied and the run in the tooltip', () => {
        const hint = inlayHints(recipe(ran), facts({ result: { result: result(), ran } })).find(({ label }) => label === '→ min 40.0 dB');
        const tooltip = JSON.stringify(hint?.tooltip);
        for (const part of ['higher is better', 'model.layers.0.mlp.down_proj', 'gptq-w8a16-g32', '3 layers', 'run-1']) assert.ok(tooltip.includes(part), part);
    });

    it('leave a label that is too long for the line to the tooltip', () => {
        const long = 'awq-w4a16(rounding=gptq)';
        const hint = inlayHints(recipe(ran), facts({ result: { result: result({ asked: long, applied: long }), ran } })).find(({ label }) => label === '→ min 40.0 dB');
        assert.ok(JSON.stringify(hint?.tooltip).includes(long));
    });

    it('mark a fallback', () => {
        assert.ok(hints(ran, facts({ result: { result: result({ fallback: 'not positive definite' }), ran } })).includes('8: → min 40.0 dB ⚠'));
    });

    it('mark what is old: a rule that was edited, and what depends on it, but not what stands above', () => {
        const outcomes = (text: string): string[] => hints(text).filter((hint) => /→|was/.test(hint));
        assert.deepEqual(outcomes(ran.replace('use: none', 'use: rtn-w8a16-g32')), ['5: was min 21.0 dB', '8: → min 40.0 dB']);
        assert.deepEqual(outcomes(ran.replace('use: gptq-w8a16-g32', 'use: gptq-w6a16-g32')), ['5: was min 21.0 dB', '8: was gptq-w8a16-g32, min 40.0 dB']);
        assert.deepEqual(outcomes(ran.replace('"*.down_proj"', '"*.up_proj"')), ['5: was min 21.0 dB'], 'a rule about other layers is another rule');
        const hint = inlayHints(recipe(ran.replace('use: none', 'use: rtn-w8a16-g32')), facts({ result: { result: result(), ran } })).find(({ label }) => label === 'was min 21.0 dB');
        assert.match(JSON.stringify(hint?.tooltip), /recipe has changed since/);
    });

    it('find a rule again that moved', () => {
        const rules = ran.slice(ran.indexOf('    - layers'), ran.indexOf('output'));
        const [first, second] = [rules.slice(0, rules.indexOf('    - {')), rules.slice(rules.indexOf('    - {'))];
        assert.ok(hints(ran.replace(rules, second + first)).includes('9: was min 40.0 dB'));
    });

    it('mark everything that was measured with other calibration data', () => {
        assert.deepEqual(hints(ran.replace('c.txt', 'd.txt')).filter((hint) => /dB/.test(hint)), ['3: was min 10.0 dB', '3: was min 20.0 dB', '5: was min 21.0 dB', '8: was min 40.0 dB']);
    });

    it('say what the section comes to: bits and size, or what a budget lets it become', () => {
        const size = (budget: string): string | undefined => hints(ran.replace('  rules:', `  budget: { ${budget} }\n  rules:`), facts()).find((hint) => hint.startsWith('4:'));
        assert.equal(size('bits_per_weight: 5'), '4: ≤ 5 bits, 2.3 MB');
        assert.equal(size('size: 2300 kB'), '4: ≤ 4.97 bits, 2.3 MB');
        assert.equal(size('min_sqnr: 20'), '4: 4.75 to 5.5 bits');
        assert.equal(size('bits_per_weight: 5')!.length <= 3 + 20, true);
        assert.ok(!hints(ran.replace('default: gptq-w4a16-g32', 'default: none').replace('use: gptq-w8a16-g32', 'use: none'), facts()).some((hint) => hint.startsWith('4:')), 'nothing is quantized');
    });

    it('stay with a candidate that moved, and leave one that is new', () => {
        const moved = ran.replace(/candidates:.*/, 'candidates: [{ group_size: 32, method: rtn, scheme: W3A16 }, gptq-w2a16]');
        assert.deepEqual(hints(moved).filter((hint) => hint.startsWith('3:')), ['3: min 10.0 dB']);
    });

    it('find a candidate however it is written, also when the run was asked for it twice', () => {
        const twice = ran.replace(/candidates:.*/, 'candidates: [gptq-w4a16-g32, { method: gptq, scheme: W4A16, group_size: 32 }, rtn-w3a16-g32]');
        const known = facts({ result: { result: result(), ran: twice } });
        assert.deepEqual(hints(ran, known).filter((hint) => hint.startsWith('3:')), hints(ran).filter((hint) => hint.startsWith('3:')));
    });

    it('say nothing of a run on another model, or without its recipe', () => {
        assert.ok(!hints(ran.replace('model: tiny', 'model: other')).some((hint) => /dB/.test(hint)));
        assert.deepEqual(hints(ran, facts({ result: { result: result(), ran: undefined } })), counts);
    });

    it('do not change with comments and white space', () => {
        assert.equal(hints(`# A comment.\n\n${ran}`).filter((hint) => /dB/.test(hint)).length, 4);
    });

    it('are limited to the lines that are shown', () => {
        const parsed = recipe(ran);
        assert.equal(inlayHints(parsed, facts(), { start: 0, end: ran.indexOf('- {') }).length, 2);
    });
});

describe('code lenses', () => {
    const titles = (known = facts(), running?: Running): (string | undefined)[] =>
        codeLenses('file:///r', { ...known, running }).map(({ command }) => command?.title);

    const start = ['$(play) Run', '$(pulse) Measure sensitivity', '$(dashboard) Estimate'];

    it('offer to run, to measure and to estimate', () => {
        assert.deepEqual(titles(), start);
        assert.deepEqual(codeLenses('file:///r', facts()).map(({ command }) => command?.command), ['quant.runRecipe', 'quant.measureSensitivity', 'quant.estimate']);
    });

    it('offer nothing for what is no file, and nothing to start where nothing may be', () => {
        assert.deepEqual(codeLenses('untitled:Untitled-1', facts()), []);
        const known = facts({ result: { result: result(), ran } });
        assert.deepEqual(codeLenses('file:///r', known, recipe(ran), false).map(({ command }) => command?.command), ['quant.openResults']);
    });

    it('offer to cancel', () => assert.deepEqual(titles(facts(), { run: '/runs/1', label: '', stage: 'running', output: undefined }), ['$(debug-stop) Cancel']));

    it('offer no second cancelling, and to stop at once when that is due', () => {
        const lens = (stage: Running['stage']) => codeLenses('file:///r', facts({ running: { run: '/runs/1', label: 'Cancelling…', stage, output: undefined } }))[0]?.command;
        assert.deepEqual([lens('cancelling')?.title, lens('cancelling')?.command], ['$(loading~spin) Cancelling…', '']);
        // Nor is one that has not begun: the second of two clicks on Run would cancel it.
        assert.deepEqual([lens('starting')?.title, lens('starting')?.command], ['$(loading~spin) Starting…', '']);
        assert.deepEqual([lens('stoppable')?.title, lens('stoppable')?.command], ['$(debug-stop) Cancelling… Stop Now', 'quant.stopRun']);
    });

    it('offer to go on with a run that was interrupted, or to start anew', () => {
        const lenses = codeLenses('file:///r', facts({ running: { run: '/runs/1', label: 'interrupted', stage: 'resumable', output: undefined } }));
        assert.deepEqual(lenses.map(({ command }) => command?.title), ['$(debug-continue) Resume (interrupted)', ...start]);
        assert.equal(lenses[0]?.command?.command, 'quant.resumeRun');
    });

    it('show the last result with its SQNR and KL divergence, and that the recipe has changed since', () => {
        const last = { ...result(), scores: { kl: { value: 0.01234 } } } as Result;
        const shown = (text: string): string | undefined => codeLenses('file:///r', facts({ result: { result: last, ran } }), recipe(text)).at(-1)?.command?.title;
        assert.equal(shown(`# Only a comment.\n${ran}`), '$(graph) Show last result (SQNR mean 30.8, min 21.0 dB; KL 0.01234)');
        assert.match(shown(ran.replace('none', 'rtn-w8a16'))!, /; KL 0\.01234; recipe changed since\)$/);
        assert.match(titles(facts({ result: { result: result(), ran } })).at(-1)!, /min 21\.0 dB\)$/, 'a run without an evaluation has no KL');
    });

    it('give the recipe to the commands', () => assert.deepEqual(codeLenses('file:///r', facts())[0]?.command?.arguments, ['file:///r']));
});
