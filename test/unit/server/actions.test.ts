import assert from 'node:assert/strict';
import type { CodeAction, TextEdit } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { codeActions, fixAll, FIX_ALL } from '../../../server/actions';
import { diagnostic } from '../../../server/diagnostic';
import { validate } from '../../../server/validate';
import { parseRecipe } from '../../../server/recipe';
import { RecipeSchema } from '../../../server/schema';
import { facts, recipe, schemaDocument, whole } from './fixture';

const uri = 'file:///recipe.quant.yaml';

function actions(text: string): CodeAction[] {
    const parsed = recipe(text);
    return codeActions(parsed, uri, validate(parsed, facts()), { start: 0, end: text.length }, (finding) => diagnostic(parsed, uri, finding, ''), facts());
}

function applied(text: string, action: CodeAction): string {
    return TextDocument.applyEdits(TextDocument.create(uri, 'quant-recipe', 1, text), action.edit?.changes?.[uri] as TextEdit[]);
}

/** The text after a fix. */
function fixed(text: string, title: string): string {
    const action = actions(text).find((candidate) => candidate.title === title);
    assert.ok(action, `"${title}" is offered: ${actions(text).map((candidate) => candidate.title).join(', ')}`);
    return applied(text, action);
}

describe('quick fixes', () => {
    it('never show a secret that stands as a key or a value', () => {
        const secret = 'hf_abcdefghijABCDEFGHIJ0123456789abcd';
        for (const text of [`model: tiny\n${secret}: 1\n`, `model: tiny\ncandidates: [${secret}, ${secret}]\n`, `candidates: [gptq-w4a16]\nhf_token: "${secret}"\nquantize: { default: ${secret} }\n`]) {
            const titles = actions(text).map(({ title }) => title);
            assert.ok(titles.length > 0);
            assert.deepEqual(titles.filter((title) => title.includes(secret.slice(0, 12))), [], text);
        }
        assert.ok(actions(`model: tiny\n${secret}: 1\n`).some(({ title }) => title === 'Remove "…"'));
    });

    it('write the nearest key, value and pattern', () => {
        assert.equal(fixed('modle: tiny\n', 'Change to model'), 'model: tiny\n');
        assert.equal(fixed(whole('  default: GPTQ-W4A16'), 'Change to gptq-w4a16'), whole('  default: gptq-w4a16'));
        assert.equal(fixed(whole('  default: gptq-w4a61'), 'Change to gptq-w4a16'), whole('  default: gptq-w4a16'));
        const rule = (pattern: string): string => whole(`  default: none\n  rules:\n    - { layers: ${pattern}, use: none }`);
        assert.equal(fixed(rule('"*.mlp.down_prj"'), 'Change to "*.mlp.down_proj"'), rule('"*.mlp.down_proj"'));
        assert.equal(fixed(rule("'*.mlp.down_prj'"), 'Change to "*.mlp.down_proj"'), rule("'*.mlp.down_proj'"));
    });

    it('take a number out of its quotes, and do not change what it means', () => {
        const use = (size: string): string => whole(`  default: { method: gptq, scheme: W4A16, group_size: ${size} }`);
        assert.equal(fixed(use('"128"'), 'Change to 128'), use('128'));
        assert.deepEqual(actions(use("'128'")).map(({ title, isPreferred }) => [title, isPreferred]), [['Change to 128', true]]);
        const samples = (count: string): string => `calibration: { data: c.txt, samples: ${count} }\n${whole('  default: none')}`;
        assert.equal(fixed(samples('"64"'), 'Change to 64'), samples('64'));
    });

    it('put a pattern in quotes that YAML takes for an alias', () => {
        const rule = (pattern: string): string => whole(`  default: none\n  rules:\n    - { layers: ${pattern}, use: none }`);
        for (const [written, alias, right] of [
            ['*.mlp.down_proj', '*.mlp.down_proj', '"*.mlp.down_proj"'], ['*_proj', '*_proj', '"*_proj"'], ['*', '*', '"*"'],
            ['[*.q_proj, "x"]', '*.q_proj', '["*.q_proj", "x"]'], ['**.q_proj', '**.q_proj', '"**.q_proj"'],
        ] as const) {
            assert.equal(fixed(rule(written), `Change to "${alias}"`), rule(right));
            assert.equal(actions(rule(written)).filter(({ isPreferred }) => isPreferred).length, 1);
        }
    });

    it('prefer exactly one fix of each finding that has one', () => {
        const budget = whole('  default: none\n  budget: {}', 'candidates: [gptq-w4a16-g32]\n');
        for (const text of ['modle: tiny\n', whole('  default: gptq-w4a61'), whole('  default: gptq-w4a16-g64'), whole('  defualt: none'), whole('  default: smoothquant'), budget]) {
            const offered = actions(text).filter(({ kind }) => kind === 'quickfix');
            assert.ok(offered.length > 0, text);
            for (const finding of new Set(offered.map(({ diagnostics }) => JSON.stringify(diagnostics)))) {
                const preferred = offered.filter(({ diagnostics, isPreferred }) => isPreferred && JSON.stringify(diagnostics) === finding);
                assert.equal(preferred.length, 1, finding);
            }
        }
    });

    /** Titles of the fixes, the preferred one with a star. */
    const titles = (text: string): string[] => actions(text).filter(({ kind }) => kind === 'quickfix').map(({ title, isPreferred }) => (isPreferred ? '*' : '') + title);

    it('offer usual ways to quantize for a name from elsewhere, and prefer none', () => {
        const usual = ['gptq-w4a16', 'awq-w4a16', 'fp8_dynamic', 'rtn-w8a16'].map((name) => `Change to ${name}`);
        for (const name of ['int8', 'int4', 'nf4', 'bnb', 'q4_k_m']) assert.deepEqual(titles(whole(`  default: ${name}`)), usual, name);
    });

    it('complete a method by its usual scheme', () => {
        assert.deepEqual(titles(whole('  default: gptq')).slice(0, 2), ['*Change to gptq-w4a16', 'Change to gptq-w8a16']);
        assert.equal(titles(whole('  default: smoothquant'))[0], '*Change to smoothquant-w8a8');
    });

    it('keep the value of a key whose name is begun or not right', () => {
        const use = (key: string): string => whole(`  default: { method: gptq, scheme: W4A16, ${key}: 0.1 }`);
        assert.deepEqual(titles(use('damp')), ['*Change to damping', 'Remove "damp"']);
        assert.equal(fixed(use('damp'), 'Change to damping'), use('damping'));
        assert.deepEqual(titles(whole('  default: none\n  budget: { bits: 5 }', 'candidates: [rtn-w4a16-g32, rtn-w8a16-g32]\n')).filter((title) => !title.includes('Add')), ['*Change to bits_per_weight', 'Remove "bits"']);
        assert.deepEqual(titles('calibration: { data: c.txt, zzzz: 1 }\n').filter((title) => !title.includes('Add')), ['Remove "zzzz"']);
    });

    it('prefer a removal only where nothing is lost', () => {
        assert.ok(titles('model: tiny\nmodel: tiny\n').includes('*Remove "model"'));
        assert.ok(titles('model: tiny\nmodel: other\n').includes('Remove "model"'));
        assert.deepEqual(titles(whole('  default: { method: fp8, scheme: FP8_DYNAMIC, group_size: 32 }')), ['Remove "group_size"']);
        assert.deepEqual(titles(whole('  default: none\n  rules:\n    - { layers: "*.mlp.*", use: rtn-w4a16-g32 }\n    - { layers: "*.up_proj", use: none }')), [
            'Move above rule 1', 'Remove "{ layers: "*.up_proj", use: none }"',
        ]);
    });

    it('complete a pattern that matches no layer', () => {
        const rule = (pattern: string): string => whole(`  default: none\n  rules:\n    - { layers: ${pattern}, use: rtn-w4a16-g32 }`);
        for (const [written, meant] of [
            ['q_proj', '"*.q_proj"'], ['down_proj', '"*.down_proj"'], ['"re:.*q_proj"', '"*.q_proj"'], ['"re:.*self_attn\\\\.q_proj$"', '"*.self_attn.q_proj"'], ['"layers.*.mlp.*"', '"*.layers.*.mlp.*"'],
        ] as const) {
            assert.deepEqual(titles(rule(written)), [`*Change to ${meant}`], written);
            assert.equal(fixed(rule(written), `Change to ${meant}`), rule(meant));
        }
        assert.deepEqual(titles(rule('"model.layers.9.*"')), ['Change to "model.layers.2.*"', 'Change to "model.layers.*.*"'], 'nobody knows which block was meant');
        assert.deepEqual(titles(rule('"vision.*"')), []);
    });

    it('write the folder of a file that stands in the place of a model', () => {
        const text = whole('  default: none').replace('tiny', 'a/tiny/config.json');
        const known = facts({
            checkpoints: new Map([['a/tiny/config.json', { state: 'refused', folder: '/a', code: 'model-missing', message: 'why' }]]),
            files: new Map([['a/tiny/config.json', { kind: 'file', realPath: '/a/tiny/config.json', text: undefined }]]),
        });
        const parsed = recipe(text);
        const [action] = codeActions(parsed, uri, validate(parsed, known), { start: 8, end: 8 }, (finding) => diagnostic(parsed, uri, finding, ''), known);
        assert.ok(action?.isPreferred);
        assert.equal(applied(text, action), text.replace('/config.json', ''));
    });

    it('add the section that a method needs', () => {
        const without = whole('  default: gptq-w4a16-g32').replace(/calibration.*\n/, '');
        assert.equal(fixed(without, 'Add "calibration"'), `${without}calibration:\n  data:\n`);
    });

    it('set a group size that divides every layer concerned', () => {
        assert.equal(fixed(whole('  default: gptq-w4a16-g64'), 'Change to gptq-w4a16-g32'), whole('  default: gptq-w4a16-g32'));
        const rule = (size: number): string => whole(`  default: none\n  rules:\n    - { layers: "*.mlp.*", use: { method: gptq, scheme: W4A16, group_size: ${size} } }`);
        assert.equal(fixed(rule(48), 'Change to 32'), rule(32));
    });

    it('set a sequence length that the model has', () => {
        const text = (length: number): string => whole('  default: none').replace('data: c.txt', `data: c.txt, sequence_length: ${length}`);
        assert.equal(fixed(text(600), 'Change to 512'), text(512));
    });

    it('remove a candidate that is listed twice, with its dash or comma', () => {
        const text = (candidates: string): string => whole('  default: gptq-w4a16-g32', `candidates:${candidates}\n`);
        assert.equal(fixed(text(' [rtn-w4a16-g32, rtn-w4a16-g32, rtn-w3a16-g32]'), 'Remove "rtn-w4a16-g32"'), text(' [rtn-w4a16-g32, rtn-w3a16-g32]'));
        assert.equal(fixed(text(' [rtn-w3a16-g32, rtn-w3a16-g32]'), 'Remove "rtn-w3a16-g32"'), text(' [rtn-w3a16-g32]'));
        assert.equal(fixed(text('\n  - rtn-w4a16-g32 # one\n  - rtn-w4a16-g32 # two\n  - rtn-w3a16-g32'), 'Remove "rtn-w4a16-g32"'), text('\n  - rtn-w4a16-g32 # one\n  - rtn-w3a16-g32'));
        const long = '  - method: rtn\n    scheme: W4A16\n    group_size: 32\n';
        assert.equal(fixed(text(`\n  - rtn-w4a16-g32\n${long}  - rtn-w3a16-g32`), 'Remove "method: rtn scheme: W4A16 group_size: 32"'), text('\n  - rtn-w4a16-g32\n  - rtn-w3a16-g32'));
    });

    it('remove what is written twice, with its line', () => {
        assert.equal(fixed('model: tiny\nmodel: other # twice\noutput: out\n', 'Remove "model"'), 'model: tiny\noutput: out\n');
        assert.equal(fixed('calibration: { data: c.txt, data: d.txt }\n', 'Remove "data"'), 'calibration: { data: c.txt }\n');
        assert.equal(fixed('calibration: { zzzz: 1, data: d.txt }\n', 'Remove "zzzz"'), 'calibration: { data: d.txt }\n');
    });

    it('add what is missing, at the right depth', () => {
        assert.equal(fixed('model: tiny\n', 'Add "output"'), 'model: tiny\noutput:\n');
        assert.equal(fixed('# only a comment\n', 'Add "quantize"'), '# only a comment\nquantize:\n  default:\n');
        assert.equal(fixed('calibration:\n  samples: 3 # few\nmodel: tiny\n', 'Add "data"'), 'calibration:\n  samples: 3 # few\n  data:\nmodel: tiny\n');
        assert.equal(fixed('calibration: { samples: 3 }\n', 'Add "data"'), 'calibration: { samples: 3, data: }\n');
        assert.equal(fixed('calibration: {}\n', 'Add "data"'), 'calibration: { data: }\n');
        assert.equal(fixed('quantize:\n  rules:\n    - layers: x\n', 'Add "use"'), 'quantize:\n  rules:\n    - layers: x\n      use:\n');
    });

    it('choose a budget’s one key, and remove the others', () => {
        const budget = (keys: string): string => whole(`  default: none\n  budget: { ${keys} }`, 'candidates: [gptq-w4a16-g32]\n');
        assert.equal(fixed(budget('').replace('{  }', '{}'), 'Add "size"'), budget('size:'));
        assert.equal(fixed(budget('bits_per_weight: 5, size: 2 MB'), 'Remove "size"'), budget('bits_per_weight: 5'));
    });

    it('remove a group size that a scheme has no choice of', () => {
        const use = (size: string): string => whole(`  default: { method: fp8, scheme: FP8${size} }`);
        assert.equal(fixed(use(', group_size: 32'), 'Remove "group_size"'), use(''));
    });

    it('keep the line ends of the document', () => {
        assert.equal(fixed('model: tiny\r\n', 'Add "output"'), 'model: tiny\r\noutput:\r\n');
    });
});

describe('quick fixes of rules', () => {
    it('remove a rule that decides nothing', () => {
        const text = whole('  default: none\n  rules:\n    - layers: "*.mlp.*"\n      use: none\n    # again\n    - layers: "*.up_proj"\n      use: none');
        assert.equal(fixed(text, 'Remove "layers: "*.up_proj" use: none"'), whole('  default: none\n  rules:\n    - layers: "*.mlp.*"\n      use: none\n    # again'));
    });

    it('move a rule that decides nothing above those that have its layers, with its comment', () => {
        const rules = (...lines: string[]): string => whole(`  default: none\n  rules:\n${lines.map((line) => `    ${line}`).join('\n')}`);
        const [first, second] = [['# wide', '- layers: "*.mlp.*"', '  use: rtn-w4a16-g32'], ['- { layers: lm_head, use: none }']];
        const moved = ['# but these', '- layers: "*.up_proj" # up', '  use: none'];
        assert.equal(fixed(rules(...second, ...first, ...moved), 'Move above rule 2'), rules(...second, ...moved, ...first));
        assert.equal(fixed(rules(...first, ...moved).trimEnd(), 'Move above rule 1'), rules(...moved, ...first).trimEnd());
        const flow = (...items: string[]): string => whole(`  default: none\n  rules: [${items.join(', ')}]`);
        const [wide, narrow] = ['{ layers: "*.mlp.*", use: rtn-w4a16-g32 }', '{ layers: "*.up_proj", use: none }'];
        assert.equal(fixed(flow(wide, narrow), 'Move above rule 1'), flow(narrow, wide));
    });

    it('move no rule across the anchor that it names', () => {
        const text = whole('  default: none\n  rules:\n    - { layers: "*.mlp.*", use: &kept none }\n    - { layers: "*.up_proj", use: *kept }');
        assert.ok(!actions(text).some(({ title }) => title.startsWith('Move')));
    });

    it('exclude the layers whose width a group size does not divide', () => {
        const title = 'Exclude "model.layers.*.mlp.down_proj" from quantization';
        const rule = (indent: string): string => `\n${indent}- layers: "model.layers.*.mlp.down_proj"\n${indent}  use: none`;
        assert.equal(fixed(whole('  default: gptq-w4a16-g64 # small'), title), whole(`  default: gptq-w4a16-g64 # small\n  rules:${rule('    ')}`));
        assert.equal(
            fixed(whole('  default: none\n  rules:\n  - { layers: lm_head, use: none } # head\n  - layers: "*.mlp.*"\n    use: gptq-w4a16-g64'), title),
            whole(`  default: none\n  rules:\n  - { layers: lm_head, use: none } # head${rule('  ')}\n  - layers: "*.mlp.*"\n    use: gptq-w4a16-g64`),
        );
        assert.equal(
            fixed(whole('  default: gptq-w4a16-g64\n  rules: [{ layers: lm_head, use: none }]'), title),
            whole('  default: gptq-w4a16-g64\n  rules: [{ layers: lm_head, use: none }, { layers: "model.layers.*.mlp.down_proj", use: none }]'),
        );
        const after = fixed(whole('  default: gptq-w4a16-g64'), title);
        assert.deepEqual(validate(recipe(after), facts()), [], 'nothing is left to find');
    });

    it('exclude nothing where no layer would be left', () => {
        const text = whole('  default: none\n  rules:\n    - { layers: "*.down_proj", use: gptq-w4a16-g64 }');
        assert.ok(!actions(text).some(({ title }) => title.startsWith('Exclude')));
    });

    it('split a rule by the kinds of layers that it decides about', () => {
        const rule = (pattern: string, space = '    '): string => `${space}- layers: ${pattern}\n${space}  use: gptq-w4a16-g32 # four\n`;
        const text = (...patterns: string[]): string => whole(`  default: none\n  rules:\n${patterns.map((pattern) => rule(pattern)).join('')}`.trimEnd());
        const title = 'Split into 3 rules, one for each kind of layer';
        const split = fixed(text('"*.mlp.*"'), title);
        assert.equal(split.replace(/ # four/g, ''), text('"*.mlp.gate_proj"', '"*.mlp.up_proj"', '"*.mlp.down_proj"').replace(/ # four/g, ''));
        assert.ok(split.includes('# four'));
        assert.match(fixed(text('"model.layers.[01].mlp.*"'), title), /"model\.layers\.\[01\]\.mlp\.gate_proj"(.|\n)*"model\.layers\.\[01\]\.mlp\.down_proj"/);
        assert.match(
            fixed(whole('  default: none\n  rules: [{ layers: ["*.up_proj", lm_head], use: none }]'), 'Split into 2 rules, one for each kind of layer'),
            /rules: \[\{ layers: "\*\.mlp\.up_proj", use: none \}, \{ layers: lm_head, use: none \}\]/,
        );
        assert.ok(!actions(text('"*.up_proj"')).some((action) => action.title.startsWith('Split')));
    });
});

describe('all that is certain', () => {
    const all = (text: string): string | undefined => {
        const parsed = recipe(text);
        const action = fixAll(parsed, uri, validate(parsed, facts()));
        if (action) assert.equal(action.kind, FIX_ALL);
        return action && applied(text, action);
    };

    it('is fixed at once: case, quotes, what is there twice', () => {
        const text = whole('  default: GPTQ-W4A16\n  rules:\n    - { layers: *.o_proj, use: none }\n    - { layers: "*.o_proj", use: none }', 'candidates: [rtn-w4a16-g32, rtn-w4a16-g32]\n').replace('c.txt', 'c.txt, samples: "8"');
        const after = whole('  default: gptq-w4a16\n  rules:\n    - { layers: "*.o_proj", use: none }\n    - { layers: "*.o_proj", use: none }', 'candidates: [rtn-w4a16-g32]\n').replace('c.txt', 'c.txt, samples: 8');
        const once = all(text)!;
        assert.equal(all(once) ?? once, after);
    });

    it('is no guess', () => {
        for (const text of ['modle: tiny\n', whole('  default: gptq-w4a61'), whole('  default: gptq-w4a16-g64'), whole('  default: none'), whole('  default: none\n  rules:\n    - { layers: "*", use: none }\n    - { layers: lm_head, use: none }')]) assert.equal(all(text), undefined, text);
    });

    it('takes in keys that have a new name', () => {
        const { properties } = schemaDocument;
        const renamed = new RecipeSchema({ ...schemaDocument, properties: { ...properties, target: { ...properties!.output, deprecated: true, 'x-replaced-by': 'output' } } });
        const text = 'model: tiny\ntarget: out\n';
        const parsed = parseRecipe(text, renamed);
        const span = { start: 12, end: 18 };
        const action = fixAll(parsed, uri, [{ code: 'unknown-key', severity: 'warning', span, message: '', replacements: ['output'] }]);
        assert.equal(action && applied(text, action), 'model: tiny\noutput: out\n');
    });
});
