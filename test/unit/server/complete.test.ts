import assert from 'node:assert/strict';
import type { CompletionItem } from 'vscode-languageserver/node';
import { complete, folderWanted } from '../../../server/complete';
import { NO_FACTS, type Facts } from '../../../server/facts';
import { cursor, facts } from './fixture';

function items(marked: string, known: Facts = NO_FACTS): CompletionItem[] {
    const { recipe, offset } = cursor(marked);
    return complete(recipe, offset, known).items;
}

const labels = (marked: string, known?: Facts): string[] => items(marked, known).map(({ label }) => label);

function item(marked: string, label: string, known?: Facts): CompletionItem {
    const found = items(marked, known).find((candidate) => candidate.label === label);
    assert.ok(found, `${label} is offered`);
    return found;
}

/** The text after accepting an item, tab stops as they are. */
function accepted(marked: string, label: string, known?: Facts): string {
    const { recipe, offset } = cursor(marked);
    const edit = complete(recipe, offset, known ?? NO_FACTS).items.find((candidate) => candidate.label === label)?.textEdit;
    assert.ok(edit && 'range' in edit);
    const lines = recipe.text.split('\n');
    const at = ({ line, character }: { line: number; character: number }): number => lines.slice(0, line).join('\n').length + (line > 0 ? 1 : 0) + character;
    return recipe.text.slice(0, at(edit.range.start)) + edit.newText + recipe.text.slice(at(edit.range.end));
}

/** In the order in which the editor shows them. */
const shown = (marked: string): string[] => items(marked).sort((a, b) => a.sortText!.localeCompare(b.sortText!)).map(({ label }) => label);

describe('the order of short forms', () => {
    const { schemes, shortForms } = cursor('|').recipe.schema;
    const usual = ['gptq-w4a16', 'gptq-w8a16', 'awq-w4a16', 'awq-w8a16'];

    it('begins with four and eight bits of every method, in a list as in brackets', () => {
        for (const marked of ['candidates:\n  - |\n', 'candidates: [|]\n', 'candidates:\n  - gptq-w4a16\n  - |\n']) {
            const offered = shown(marked);
            assert.deepEqual(offered.slice(0, usual.length), usual, marked);
            const first = offered.findIndex((label) => ![4, 8].includes(schemes[shortForms[label]?.scheme ?? '']?.num_bits ?? 0));
            const methods = new Set(offered.slice(0, first).map((label) => shortForms[label]?.method));
            assert.deepEqual([...methods].sort(), [...new Set(Object.values(shortForms).map(({ method }) => method))].sort(), marked);
        }
    });

    it('goes on with all others, then the long forms and keys', () => {
        const offered = shown('candidates:\n  - |\n');
        const count = Object.keys(shortForms).length;
        assert.deepEqual(offered.slice(0, count).sort(), Object.keys(shortForms).sort());
        const methods = new Set(Object.values(shortForms).map(({ method }) => method)).size;
        for (const label of offered.slice(count, count + methods)) assert.match(label, /^\{ method: /);
        assert.equal(offered[count + methods], 'method');
        assert.equal(shown('quantize:\n  default: |\n')[0], 'none');
    });
});

describe('completion of keys', () => {
    it('offers all keys in an empty document, the required ones first', () => {
        const offered = items('|').sort((a, b) => a.sortText!.localeCompare(b.sortText!)).map(({ label }) => label);
        assert.deepEqual(offered, ['model', 'quantize', 'output', 'calibration', 'devices', 'candidates', 'evaluate', 'output_format']);
    });

    it('leaves out what is there already', () => {
        assert.deepEqual(labels('model: x\noutput: y\n|').sort(), ['calibration', 'candidates', 'devices', 'evaluate', 'output_format', 'quantize']);
    });

    it('knows the section by indentation on an empty line', () => {
        assert.deepEqual(labels('calibration:\n  data: x\n  |\nquantize:\n  default: none\n').sort(), ['samples', 'seed', 'sequence_length']);
    });

    it('completes a half-written key', () => {
        assert.equal(accepted('calibration:\n  data: x\n  sam|\n', 'samples'), 'calibration:\n  data: x\n  samples: ${1:128}\n');
    });

    it('replaces only the name when the colon stands already', () => {
        assert.equal(accepted('calibration:\n  data: x\n  sam|: 5\n', 'samples'), 'calibration:\n  data: x\n  samples: 5\n');
    });

    it('works in braces, also at the end and before a comma', () => {
        assert.deepEqual(labels('calibration: { data: x, | }').sort(), ['samples', 'seed', 'sequence_length']);
        assert.deepEqual(labels('calibration: { |, data: x }').sort(), ['samples', 'seed', 'sequence_length']);
        assert.deepEqual(labels('calibration: { | }').sort(), ['data', 'samples', 'seed', 'sequence_length']);
        assert.deepEqual(labels('calibration: {|').sort(), ['data', 'samples', 'seed', 'sequence_length']);
    });

    it('works in a list item', () => {
        assert.deepEqual(labels('quantize:\n  rules:\n    - |\n').sort(), ['layers', 'use']);
        assert.deepEqual(labels('quantize:\n  rules:\n    - layers: x\n      |\n'), ['use']);
        assert.deepEqual(labels('quantize:\n  rules: [{ layers: x, | }]\n'), ['use']);
    });

    it('writes a section with its required keys', () => {
        assert.equal(accepted('|', 'quantize'), 'quantize:\n  default: $1');
        assert.equal(accepted('quantize:\n  default: none\n  |', 'rules'), 'quantize:\n  default: none\n  rules:\n  - layers: "$1"\n    use: $2');
    });

    it('offers keys that exclude each other until one of them is written', () => {
        assert.deepEqual(labels('quantize: { budget: { | } }').sort(), ['bits_per_weight', 'min_sqnr', 'objective', 'size']);
        assert.equal(item('quantize: { budget: { | } }', 'size').detail, 'one of these');
        assert.deepEqual(labels('quantize: { budget: { size: 5 GB, | } }'), ['objective']);
        assert.deepEqual(labels('quantize: { budget: { min_sqnr: 20, | } }'), []);
        assert.deepEqual(labels('quantize: { budget: { objective: noise, | } }'), ['bits_per_weight', 'size']);
        assert.deepEqual(labels('quantize: { budget: { objective: | } }'), ['noise', 'importance']);
    });

    it('says what a key means', () => {
        const { detail, documentation } = item('calibration:\n  |', 'samples');
        assert.equal(detail, 'default: 128');
        assert.match(JSON.stringify(documentation), /calibration sequences/);
    });

    it('offers the arguments of the method that is written, and only those', () => {
        assert.ok(labels('quantize:\n  default:\n    method: gptq\n    scheme: W4A16\n    |\n').includes('damping'));
        assert.ok(!labels('quantize:\n  default:\n    method: rtn\n    scheme: W4A16\n    |\n').includes('damping'));
        assert.ok(labels('candidates: [{ method: gptq, | }]').includes('damping'));
    });
});

describe('completion of values', () => {
    it('offers short names with their documentation', () => {
        const found = item('quantize:\n  default: |\n', 'gptq-w4a16');
        assert.match(JSON.stringify(found.documentation), /4-bit/);
        assert.ok(labels('quantize:\n  default: |\n').includes('none'));
        assert.ok(!labels('candidates:\n  - |\n').includes('none'), 'a candidate cannot be none');
    });

    it('offers group sizes once a short name is written', () => {
        const offered = labels('quantize:\n  default: gptq-w4a16|\n');
        assert.ok(offered.includes('gptq-w4a16-g64') && offered.includes('gptq-w4a16-channel'));
        assert.ok(!labels('quantize:\n  default: gp|\n').includes('gptq-w4a16-g64'));
    });

    it('offers examples where a text has a form', () => assert.deepEqual(labels('quantize: { budget: { size: | } }'), ['5 GB', '900 MB', '4.5 GiB']));

    it('offers schemes and methods of the long form', () => {
        const methods = labels('candidates: [{ method: | }]');
        assert.ok(methods.includes('gptq') && methods.includes('rtn'));
        assert.ok(labels('candidates: [{ method: gptq, scheme: | }]').includes('W4A16'));
        assert.ok(labels('candidates:\n  - method: gptq\n    scheme: W4|\n').includes('W4A16'));
    });

    it('offers the long form as a snippet', () => {
        assert.equal(accepted('quantize:\n  default: |', '{ method: gptq, scheme: … }'), 'quantize:\n  default: { method: gptq, scheme: $1 }');
    });

    it('offers both ways to go on below a key without a value', () => {
        const offered = labels('quantize:\n  default:\n    |\n');
        assert.ok(offered.includes('method') && offered.includes('gptq-w4a16'));
    });

    it('offers true and false, and defaults', () => {
        assert.deepEqual(labels('evaluate: { data: x, baseline: | }'), ['true', 'false']);
        assert.deepEqual(labels('calibration: { data: x, samples: | }'), ['128']);
    });

    it('offers layer patterns of the checkpoint with the number of layers', () => {
        const marked = 'model: tiny\nquantize:\n  rules:\n    - layers: |\n';
        assert.equal(item(marked, '*.mlp.down_proj', facts()).detail, '3 layers');
        assert.equal(item(marked, 'model.layers.0.*', facts()).detail, '7 layers');
        assert.equal(item(marked, 'lm_head', facts()).detail, '1 layer');
        assert.equal(accepted(marked, '*.mlp.down_proj', facts()), 'model: tiny\nquantize:\n  rules:\n    - layers: "*.mlp.down_proj"\n');
    });

    it('replaces inside quotes, and an alias that was meant as a pattern', () => {
        const before = 'model: tiny\nquantize:\n  rules:\n    - layers: ';
        assert.equal(accepted(`${before}"*.mlp.|"\n`, '*.mlp.down_proj', facts()), `${before}"*.mlp.down_proj"\n`);
        assert.equal(accepted(`${before}["*.mlp.|"]\n`, '*.mlp.down_proj', facts()), `${before}["*.mlp.down_proj"]\n`);
        assert.equal(accepted(`${before}*.mlp|\n`, '*.mlp.down_proj', facts()), `${before}"*.mlp.down_proj"\n`);
        assert.equal(accepted(`${before}"*.mlp|\n      use: none\n`, '*.mlp.down_proj', facts()), `${before}"*.mlp.down_proj\n      use: none\n`);
    });

    it('offers the entries of the folder that is written', () => {
        const { recipe, offset } = cursor('model: checkpoints/ti|\n');
        assert.equal(folderWanted(recipe, offset), 'checkpoints/');
        const listing = [
            { name: 'tiny', kind: 'folder', isCheckpoint: true },
            { name: 'other', kind: 'folder', isCheckpoint: false },
            { name: 'notes.txt', kind: 'file', isCheckpoint: false },
        ] as const;
        const offered = complete(recipe, offset, NO_FACTS, listing).items;
        assert.deepEqual(offered.map(({ label }) => label), ['tiny', 'other/']);
        assert.deepEqual(offered.map(({ textEdit }) => textEdit?.newText), ['checkpoints/tiny', 'checkpoints/other/']);
    });
});

describe('completion elsewhere', () => {
    for (const marked of ['# |\nmodel: x\n', 'model: x # |\n', 'calibration:\n  # a | comment\n  data: x\n', 'model: x\n  |\n', 'unknown: |\n']) {
        it(`offers nothing in ${JSON.stringify(marked)}`, () => assert.deepEqual(labels(marked, facts()), []));
    }
});
