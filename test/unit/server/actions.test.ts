import assert from 'node:assert/strict';
import type { CodeAction, TextEdit } from 'vscode-languageserver/node';
import { codeActions } from '../../../server/actions';
import { diagnostic } from '../../../server/diagnostic';
import { offsetAt } from '../../../server/positions';
import { validate } from '../../../server/validate';
import { facts, recipe, whole } from './fixture';

const uri = 'file:///recipe.quant.yaml';

function actions(text: string): CodeAction[] {
    const parsed = recipe(text);
    return codeActions(parsed, uri, validate(parsed, facts()), { start: 0, end: text.length }, (finding) => diagnostic(parsed, uri, finding, ''));
}

/** The text after a fix. */
function fixed(text: string, title: string): string {
    const action = actions(text).find((candidate) => candidate.title === title);
    assert.ok(action, `"${title}" is offered: ${actions(text).map((candidate) => candidate.title).join(', ')}`);
    const [edit] = action.edit?.changes?.[uri] as TextEdit[];
    const { range, newText } = edit!;
    return text.slice(0, offsetAt(text, range.start)) + newText + text.slice(offsetAt(text, range.end));
}

describe('quick fixes', () => {
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

    it('prefer exactly one fix of each finding', () => {
        for (const text of ['modle: tiny\n', whole('  default: gptq-w4a61'), whole('  default: gptq-w4a16-g64'), whole('  defualt: none')]) {
            const offered = actions(text);
            for (const finding of new Set(offered.map(({ diagnostics }) => JSON.stringify(diagnostics)))) {
                const preferred = offered.filter(({ diagnostics, isPreferred }) => isPreferred && JSON.stringify(diagnostics) === finding);
                assert.equal(preferred.length, 1, finding);
            }
        }
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
        assert.ok(!actions(budget('').replace('{  }', '{}')).some(({ isPreferred }) => isPreferred));
    });

    it('remove a group size that a scheme has no choice of', () => {
        const use = (size: string): string => whole(`  default: { method: fp8, scheme: FP8${size} }`);
        assert.equal(fixed(use(', group_size: 32'), 'Remove "group_size"'), use(''));
    });

    it('keep the line ends of the document', () => {
        assert.equal(fixed('model: tiny\r\n', 'Add "output"'), 'model: tiny\r\noutput:\r\n');
    });
});
