import assert from 'node:assert/strict';
import { layerPattern } from '../../../protocol/pattern';
import type { CompletionItem } from 'vscode-languageserver/node';
import { patternOffers } from '../../../server/complete-patterns';
import { complete, folderWanted } from '../../../server/complete';
import { NO_FACTS, type Facts } from '../../../server/facts';
import { parseRecipe } from '../../../server/recipe';
import { RecipeSchema, type JsonSchema } from '../../../server/schema';
import { cursor, facts, header, schemaDocument } from './fixture';

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

    it('begins with what is applied most for SmoothQuant and among schemes, too', () => {
        const offered = shown('quantize:\n  default: |\n');
        assert.ok(offered.indexOf('smoothquant-w8a8') < offered.indexOf('smoothquant-mxfp4'));
        for (const [method, usual] of [['awq', 'W4A16'], ['gptq', 'W4A16'], ['smoothquant', 'W8A8'], ['fp8', 'FP8_DYNAMIC']] as const) {
            assert.equal(shown(`candidates: [{ method: ${method}, scheme: | }]`)[0], usual);
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

    it('writes no sequence longer than the model can have', () => {
        for (const section of ['calibration', 'evaluate']) {
            const marked = `model: tiny\n${section}:\n  data: x\n  |\n`;
            assert.equal(item(marked, 'sequence_length', facts()).detail, 'default: 512');
            assert.ok(accepted(marked, 'sequence_length', facts()).includes('  sequence_length: ${1:512}\n'));
            assert.deepEqual(labels(marked.replace('|', 'sequence_length: |'), facts()), ['512']);
            assert.equal(item(marked, 'sequence_length').detail, 'default: 2048');
        }
    });

    it('writes a word as a default without quotes', () => {
        assert.equal(accepted('output_f|', 'output_format'), 'output_format: ${1:compressed-tensors}');
        assert.equal(item('|', 'output_format').detail, 'default: compressed-tensors');
    });

    it('offers a group size only beside schemes that have a choice of it', () => {
        for (const use of ['method: fp8, scheme: FP8_DYNAMIC', 'method: fp8', 'method: gptq, scheme: NVFP4']) assert.ok(!labels(`candidates: [{ ${use}, | }]`).includes('group_size'), use);
        for (const use of ['method: gptq, scheme: W4A16', 'method: gptq', 'method: gptq, scheme: new']) assert.ok(labels(`candidates: [{ ${use}, | }]`).includes('group_size'), use);
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
        assert.deepEqual(labels('quantize:\n  rules:\n    - |\n').sort(), ['layers', 'rule', 'use']);
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

    it('says of the key that names a method what all have in common', () => {
        for (const marked of ['candidates: [{ | }]', 'candidates:\n  - |\n']) assert.match(JSON.stringify(item(marked, 'method').documentation), /How the stored weights are found/);
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

    it('explains each listed value by itself', () => {
        const lists: JsonSchema[] = [];
        const visit = (value: unknown): void => {
            if (typeof value !== 'object' || value === null) return;
            if (Array.isArray((value as JsonSchema).enum)) lists.push(value);
            Object.values(value).forEach(visit);
        };
        visit(schemaDocument);
        assert.ok(lists.length > 10);
        for (const { enum: values, enumDescriptions } of lists) assert.deepEqual(values?.filter((value) => !enumDescriptions?.[String(value)]), []);
        const said = (value: string): string => JSON.stringify(item('candidates: [{ method: gptq, scheme: W4A16, actorder: | }]', value).documentation);
        assert.match(said('none'), /Columns from left to right\./);
        assert.doesNotMatch(said('none'), /activations/);
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

describe('completion of patterns', () => {
    const before = 'model: tiny\nquantize:\n  rules:\n    - layers: ';
    const offered = (prefix: string, known = facts()): string[] => items(`${before}"${prefix}|"\n`, known).filter(({ detail }) => detail?.includes('layer')).map(({ label, detail }) => `${label} ${detail}`);

    it('goes through the module tree level by level, with the number of layers below', () => {
        assert.deepEqual(offered('model.').slice(0, 2), ['model.layers. 21 layers', 'model.layers.* 21 layers']);
        assert.deepEqual(offered('model.layers.').slice(0, 6), ['model.layers.*. 21 layers', 'model.layers.[0-1]. 14 layers', 'model.layers.2. 7 layers', 'model.layers.0. 7 layers', 'model.layers.1. 7 layers', '*.self_attn.q_proj 3 layers']);
        assert.deepEqual(offered('model.layers.*.').slice(0, 4), ['model.layers.*.self_attn. 12 layers', 'model.layers.*.self_attn.* 12 layers', 'model.layers.*.mlp. 9 layers', 'model.layers.*.mlp.* 9 layers']);
        assert.deepEqual(offered('model.layers.*.mlp.').slice(0, 3), ['model.layers.*.mlp.gate_proj 3 layers', 'model.layers.*.mlp.up_proj 3 layers', 'model.layers.*.mlp.down_proj 3 layers']);
        assert.deepEqual(offered('model.layers.[01].mlp.up').slice(0, 3).map((shown) => shown.split(' ')[1]), ['2', '2', '2']);
        assert.deepEqual(offered('*.mlp.').slice(0, 3), ['*.mlp.gate_proj 3 layers', '*.mlp.up_proj 3 layers', '*.mlp.down_proj 3 layers']);
    });

    it('begins with the kinds of layers, and names the top of the tree last', () => {
        const shown = offered('');
        assert.equal(shown[0], '*.self_attn.q_proj 3 layers');
        assert.equal(shown.at(-2), 'model. 21 layers');
    });

    it('offers ranges of many blocks in place of each', () => {
        const linears = Array.from({ length: 24 }, (_, block) => ({ name: `model.layers.${block}.mlp.up_proj`, block, outputs: 64, inputs: 64, bytes: 8192 }));
        const known = facts({ checkpoints: new Map([['tiny', { state: 'read', header: header({ linears }) }]]) });
        assert.deepEqual(offered('model.layers.', known).filter((shown) => /^model\.layers\.[^.]*\. /.test(shown)), ['model.layers.*. 24 layers', 'model.layers.?. 10 layers', 'model.layers.1?. 10 layers', 'model.layers.2[0-3]. 4 layers']);
    });

    it('takes the experts of all blocks for one kind, and finds the same layers as each pattern by itself', () => {
        const names = ['self_attn.q_proj', 'mlp.gate', ...Array.from({ length: 40 }, (_, expert) => ['gate_proj', 'down_proj'].map((part) => `mlp.experts.${expert}.${part}`)).flat()];
        const linears = Array.from({ length: 12 }, (_, block) => names.map((name) => ({ name: `model.layers.${block}.${name}`, block, outputs: 64, inputs: 64, bytes: 8192 }))).flat();
        const mixture = header({ linears: [...linears, { name: 'mtp.gate_proj', block: null, outputs: 64, inputs: 64, bytes: 8192 }] });
        assert.deepEqual(patternOffers(mixture, '').slice(0, 8).map(({ pattern, count }) => `${pattern} ${count}`), [
            '*.self_attn.q_proj 12 layers', '*.mlp.gate 12 layers', '*.mlp.experts.*.gate_proj 480 layers', '*.mlp.experts.*.down_proj 480 layers',
            '*.self_attn.* 12 layers', '*.mlp.* 972 layers', '*.mlp.experts.* 960 layers', 'mtp.gate_proj 1 layer',
        ]);
        assert.equal(patternOffers(mixture, '').length, 8 + 12 + 4);
        for (const head of ['', '*.', 'model.', 'model.layers.', 'model.layers.*.', '*.mlp.', '*.experts.', 'model.layers.1?.mlp.experts.', 'model.layers.[0-3].mlp.experts.*.', '*.layers.?.*.', '*.*.']) {
            for (const { pattern, opens, count, names: first } of patternOffers(mixture, head)) {
                const found = mixture.linears.filter(({ name }) => layerPattern(opens ? `${pattern}*` : pattern)(name)).map(({ name }) => name);
                assert.equal(count, found.length === 1 ? '1 layer' : `${found.length} layers`, `${head} ${pattern}`);
                assert.equal(first, [...found.slice(0, 4).map((name) => `\`${name}\``), ...(found.length > 4 ? ['…'] : [])].join('  \n'), `${head} ${pattern}`);
            }
        }
    });

    it('opens quotes around a beginning, and asks for more', () => {
        const found = item(`${before}|\n`, 'model.', facts());
        assert.equal(accepted(`${before}|\n`, 'model.', facts()), `${before}model.\n`);
        assert.equal(found.command?.command, 'editor.action.triggerSuggest');
        assert.equal(accepted(`${before}model.layers.|\n`, 'model.layers.*.', facts()), `${before}"model.layers.*.$1"\n`);
    });
});

describe('completion of whole values', () => {
    it('fills in a rule, in block and in flow style', () => {
        assert.equal(accepted('quantize:\n  rules:\n    - |\n', 'rule'), 'quantize:\n  rules:\n    - layers: "$1"\n  use: $2\n', 'the editor adds the indentation of the line');
        assert.equal(accepted('quantize:\n  rules: [|]\n', 'rule'), 'quantize:\n  rules: [{ layers: "$1", use: $2 }]\n');
        assert.ok(!labels('quantize:\n  rules:\n    - layers: x\n      |\n').includes('rule'), 'not into one that is begun');
    });

    it('fills in each method with its main arguments', () => {
        const flow = accepted('quantize: { default: | }', 'gptq with its arguments');
        assert.match(flow, /default: \{ method: gptq, scheme: \$\{1\|W4A16,W2A16,.*\|\}, group_size: \$\{2:128\}, damping: \$\{3:0\.01\}, \w+: \$\{4/);
        const block = accepted('quantize:\n  default:\n    |\n', 'rtn with its arguments');
        assert.match(block, /^quantize:\n {2}default:\n {4}method: rtn\nscheme: \$\{1\|W4A16.*\|\}\ngroup_size: \$\{2:128\}\nrange: \$\{3\|minmax,mse\|\}/);
        for (const name of Object.keys(cursor('|').recipe.schema.methods)) assert.ok(labels('candidates: [|]').includes(`${name} with its arguments`), name);
        assert.ok(!labels('candidates: [{ method: gptq, | }]').some((label) => label.endsWith('arguments')));
    });
});

describe('completion of numbers', () => {
    const budget = (key: string): string => `model: tiny\ncandidates: [rtn-w4a16-g32, rtn-w8a16-g32]\nquantize: { default: rtn-w4a16-g32, budget: { ${key}: | } }`;

    it('offers bits that the candidates reach, and what they come to', () => {
        assert.deepEqual(items(budget('bits_per_weight'), facts()).map(({ label, detail }) => [label, detail]), [
            ['4.5', 'bits per weight, at most 2.28 MB'], ['5', 'bits per weight, at most 2.29 MB'], ['6', 'bits per weight, at most 2.31 MB'], ['8', 'bits per weight, at most 2.34 MB'],
        ]);
    });

    it('offers sizes that the candidates reach, and the units behind a number', () => {
        const offered = items(budget('size'), facts());
        assert.deepEqual(offered.slice(0, 2).map(({ label, detail }) => [label, detail]), [['2.29 MB', 'at most 4.872 bits per weight'], ['2.31 MB', 'at most 6.112 bits per weight']]);
        assert.deepEqual(labels(budget('size').replace('|', '12|')).slice(0, 4), ['12 GB', '12 MB', '12 GiB', '12 MiB']);
    });
});

describe('completion of group sizes', () => {
    const offered = (marked: string): string[][] => items(`model: tiny\n${marked}`, facts()).map(({ label, detail }) => [label, detail ?? '']);

    it('offers those that divide the inputs of the layers concerned, with their bits', () => {
        const all = [['32', '4.5 bits per weight'], ['channel', '4.1 bits per weight']];
        assert.deepEqual(offered('quantize: { default: { method: gptq, scheme: W4A16, group_size: | } }'), all);
        assert.deepEqual(offered('candidates:\n  - method: rtn\n    scheme: W4A16\n    group_size: |\n'), all);
        const rule = (pattern: string): string => `quantize:\n  rules:\n    - layers: "${pattern}"\n      use: { method: gptq, scheme: W4A16_ASYM, group_size: | }\n`;
        assert.deepEqual(offered(rule('*.self_attn.*')), [['32', '4.625 bits per weight'], ['64', '4.312 bits per weight'], ['channel', '4.312 bits per weight']]);
    });

    it('offers usual ones of a model that is not known, and marks the default', () => {
        assert.deepEqual(items('candidates: [{ method: gptq, scheme: W4A16, group_size: | }]').map(({ label, detail }) => [label, detail]), [
            ['32', '4.5 bits per weight'], ['64', '4.25 bits per weight'], ['128', 'default, 4.125 bits per weight'], ['256', '4.062 bits per weight'], ['channel', undefined],
        ]);
        assert.deepEqual(labels('candidates: [{ method: gptq, group_size: | }]'), ['32', '64', '128', '256', 'channel']);
    });

    it('offers none beside a scheme without a choice', () => assert.deepEqual(labels('candidates: [{ method: fp8, scheme: FP8, group_size: | }]'), []));
});

describe('completion of lists', () => {
    it('begins an item with its dash, below the key and below other items', () => {
        for (const marked of ['quantize:\n  default: none\n  rules:\n    |\n', 'quantize:\n  rules:\n    - layers: x\n      use: none\n    |\noutput: x\n', 'quantize:\n  rules:\n    - { layers: x, use: none }\n    ru|\n']) {
            assert.ok(accepted(marked, 'rule').includes('\n    - layers: "$1"\n  use: $2\n'), marked);
            assert.ok(!labels(marked).includes('budget'), 'that key stands at another depth');
        }
        for (const marked of ['candidates:\n  |\n', 'candidates:\n  - rtn-w4a16\n  |\n', 'candidates:\n  gpt|\n']) {
            assert.equal(shown(marked)[0], 'gptq-w4a16', marked);
            assert.equal(accepted(marked, 'gptq-w4a16'), marked.replace(/(gpt)?\|/, '- gptq-w4a16'));
        }
        assert.deepEqual(shown('devices:\n  |\n').slice(0, 2), ['cuda:0', 'cpu']);
        assert.equal(accepted('devices:\n  |\n', 'cuda:0'), 'devices:\n  - cuda:0\n');
    });

    it('offers a dash where it may stand as deep as the key, beside other keys', () => {
        const offered = labels('quantize:\n  default: none\n  rules:\n  |\n');
        assert.ok(offered.includes('rule') && offered.includes('budget'));
        assert.deepEqual(shown('calibration:\n  data: x\n  |\n').sort(), ['samples', 'seed', 'sequence_length'], 'no list');
    });

    it('opens brackets behind the key', () => {
        assert.deepEqual(labels('devices: |\n'), ['cuda:0', 'cpu', '[ … ]']);
        assert.equal(accepted('devices: |\n', 'cuda:0'), 'devices: [cuda:0$1]\n');
        assert.deepEqual(labels('candidates: |\n').slice(0, 3), ['gptq-w4a16', 'awq-w4a16', 'smoothquant-w8a8']);
    });
});

describe('completion with anchors', () => {
    it('offers the anchors above as aliases', () => {
        const marked = 'candidates:\n  - &small { method: rtn, scheme: W3A16 }\nquantize:\n  default: *|\noutput: &later x\n';
        assert.deepEqual(labels(marked).filter((label) => label.startsWith('*')), ['*small']);
        assert.equal(accepted(marked, '*small'), marked.replace('*|', '*small'));
    });

    it('works behind an anchor and beside a merge key', () => {
        assert.ok(labels('calibration: &c { data: x, | }').includes('samples'));
        assert.ok(labels('candidates:\n  - &a\n    method: gptq\n    |\n').includes('damping'));
        assert.ok(labels('quantize:\n  default:\n    <<: *a\n    method: gptq\n    |\n').includes('damping'));
    });
});

describe('completion of old keys', () => {
    it('leaves out what is deprecated', () => {
        const { properties } = schemaDocument;
        const renamed = new RecipeSchema({ ...schemaDocument, properties: { ...properties, target: { ...properties!.output, deprecated: true } } });
        const offered = complete(parseRecipe('', renamed), 0, NO_FACTS).items.map(({ label }) => label);
        assert.ok(offered.includes('output') && !offered.includes('target'));
    });
});

describe('completion elsewhere', () => {
    for (const marked of ['# |\nmodel: x\n', 'model: x # |\n', 'calibration:\n  # a | comment\n  data: x\n', 'model: x\n  |\n', 'unknown: |\n']) {
        it(`offers nothing in ${JSON.stringify(marked)}`, () => assert.deepEqual(labels(marked, facts()), []));
    }
});

describe('completion of the rounding behind a scale', () => {
    const flow = (inner: string): string => `candidates: [{ method: awq, scheme: W4A16, rounding: ${inner} }]`;
    const block = (inner: string): string => `quantize:\n  default:\n    method: awq\n    scheme: W4A16\n    rounding:\n      ${inner}\n`;

    it('offers methods by their names and as mappings', () => {
        const offered = labels(flow('|'));
        for (const name of ['rtn', 'gptq', 'hqq']) for (const label of [name, `{ method: ${name} }`, `${name} with its arguments`]) assert.ok(offered.includes(label), label);
        assert.deepEqual(offered.filter((label) => /smoothquant|w4a16/i.test(label)), []);
        assert.match(JSON.stringify(item(flow('|'), 'hqq').documentation), /HQQ\. Fits each group/);
    });

    it('offers the arguments of the method that is written, in braces and on lines', () => {
        for (const marked of [flow('{ method: gptq, damping: 0.1, | }'), block('method: gptq\n      damping: 0.1\n      |')]) {
            assert.deepEqual(labels(marked), ['actorder', 'groups', 'block_size'], marked);
        }
        for (const marked of [flow('{ method: hqq, | }'), block('method: hqq\n      |')]) assert.deepEqual(labels(marked), ['norm', 'iterations'], marked);
        assert.deepEqual(labels(flow('{ | }')).filter((label) => !label.endsWith('arguments'))[0], 'method');
    });

    it('offers their values', () => {
        for (const marked of [flow('{ method: | }'), block('method: |')]) assert.deepEqual(labels(marked), ['rtn', 'gptq', 'hqq'], marked);
        for (const marked of [flow('{ method: gptq, actorder: | }'), block('method: gptq\n      actorder: |')]) assert.deepEqual(labels(marked), ['weight', 'none'], marked);
        for (const marked of [flow('{ method: rtn, range: | }'), block('method: rtn\n      range: |')]) assert.deepEqual(labels(marked), ['minmax', 'mse'], marked);
        assert.deepEqual(labels(flow('{ method: gptq, damping: | }')), ['0.01']);
    });

    it('fills in a method with its arguments, which have no scheme', () => {
        assert.ok(accepted(flow('|'), 'gptq with its arguments').includes('rounding: { method: gptq, damping: ${1:0.01}, actorder: ${2|weight,none|} } }'));
        assert.ok(accepted(block('|'), 'hqq with its arguments').includes('    rounding:\n      method: hqq\nnorm: ${1:0.7}\niterations: ${2:40}\n'));
    });
});
