import assert from 'node:assert/strict';
import type { CheckpointFact, FileFact } from '../../../server/facts';
import { diagnostic } from '../../../server/diagnostic';
import { RecipeSchema } from '../../../server/schema';
import { parseRecipe } from '../../../server/recipe';
import { validate } from '../../../server/validate';
import { parseSize } from '../../../server/validate-budget';
import { facts, header, recipe, relatedTexts, schemaDocument, whole } from './fixture';

/** `code: marked text` of each finding. */
function found(text: string, known = facts()): string[] {
    return validate(recipe(text), known).map(({ code, span }) => `${code}: ${text.slice(span.start, span.end)}`);
}

function messages(text: string, known = facts()): string[] {
    return validate(recipe(text), known).map(({ message }) => message);
}

const plain = whole('  default: gptq-w4a16-g32');
const model = (fact: CheckpointFact): ReturnType<typeof facts> => facts({ checkpoints: new Map([['tiny', fact]]) });
const file = (name: string, fact: FileFact): ReturnType<typeof facts> => facts({ files: new Map([...facts().files, [name, fact]]) });

describe('validation', () => {
    it('finds nothing in a good recipe', () => assert.deepEqual(found(plain), []));

    it('says nothing of files that it does not know yet', () => {
        assert.deepEqual(found(plain, facts({ checkpoints: new Map(), files: new Map() })), []);
    });

    it('explains a line that is indented too deep, where the line is', () => {
        const text = 'model: tiny\n   output: x\n';
        assert.deepEqual(found(text), ['missing-key: model: tiny', 'yaml-syntax: output']);
        assert.match(messages(text)[1]!, /^wrong indentation: "output" stands 3 columns deep/);
    });

    it('refuses what cannot be used as a model', () => {
        const refused = (code: 'model-broken' | 'model-missing' | 'model-not-safetensors', message: string): CheckpointFact =>
            ({ state: 'refused', folder: '/abs/tiny', code, message });
        assert.deepEqual(found(plain, model(refused('model-missing', 'the folder does not exist'))), ['model-missing: tiny']);
        assert.deepEqual(messages(plain, model(refused('model-broken', '/abs/tiny/model.safetensors is broken: x'))), ['tiny/model.safetensors is broken: x']);
        assert.match(messages(plain, model(refused('model-not-safetensors', 'pytorch_model.bin')))[0]!, /^"tiny" has only pickle weights \(pytorch_model\.bin\)/);
        assert.match(messages(plain, model({ state: 'read', header: header({ architecture: 'GPT2LMHeadModel', linears: [] }) }))[0]!,
            /^architecture "GPT2LMHeadModel" is not supported; supported: .*LlamaForCausalLM/);
        assert.deepEqual(messages(plain, model({ state: 'read', header: header({ quantization: 'gptq' }) })), ['"tiny" is already quantized (gptq)']);
    });

    it('leaves a model without a family to the engine when its layers could be read from their names', () => {
        assert.deepEqual(found(plain, model({ state: 'read', header: header({ architecture: 'NewForCausalLM' }) })), []);
    });

    it('says of a refused model nothing else', () => {
        const text = whole('  default: gptq-w4a16\n  rules: [{ layers: "*.nothing", use: none }]');
        assert.deepEqual(found(text, model({ state: 'read', header: header({ quantization: 'gptq' }) })), ['model-quantized: tiny']);
    });

    it('refuses texts that are missing, empty or broken', () => {
        assert.deepEqual(found(plain, file('c.txt', { kind: 'missing', realPath: '/c', text: undefined })), ['data-missing: c.txt']);
        assert.deepEqual(found(plain, file('c.txt', { kind: 'folder', realPath: '/c', text: undefined })), ['data-folder: c.txt']);
        assert.deepEqual(found(plain, file('c.txt', { kind: 'file', realPath: '/c', text: 'none' })), ['data-empty: c.txt']);
        assert.deepEqual(messages(plain, file('c.txt', { kind: 'file', realPath: '/c', text: { broken: 'line 3 is not JSON' } })), ['"c.txt" line 3 is not JSON']);
    });

    it('refuses an output that cannot be made', () => {
        for (const reason of ['is not a folder', 'cannot be written'] as const) {
            const blocked = file('out', { kind: 'missing', realPath: '/models/a/out', text: undefined, blocked: { parent: '/models/a', reason } });
            assert.deepEqual(found(plain, blocked), ['output-unwritable: out']);
            const [finding] = validate(recipe(plain), blocked);
            assert.deepEqual([finding?.severity, finding?.message], ['error', `"out" cannot be made: "/models/a" ${reason}`]);
        }
    });

    it('refuses an output that exists, or that is the model', () => {
        assert.deepEqual(found(plain, file('out', { kind: 'folder', realPath: '/out', text: undefined })), ['output-exists: out']);
        assert.deepEqual(validate(recipe(plain), file('out', { kind: 'folder', realPath: '/out', text: undefined })).map(({ severity }) => severity), ['error']);
        assert.deepEqual(found(plain, file('out', { kind: 'folder', realPath: '/models/tiny', text: undefined })), ['output-is-model: out']);
    });

    it('does not refuse the output that the recipe’s own run is writing or has written', () => {
        const exists = file('out', { kind: 'folder', realPath: '/out', text: undefined });
        const running = { run: '1', label: 'evaluate 3/9', stage: 'running' as const, output: '/out' };
        assert.deepEqual(validate(recipe(plain), { ...exists, running }).map(({ severity }) => severity), ['information']);
        assert.deepEqual(validate(recipe(plain), { ...exists, running: { ...running, output: '/other' } }).map(({ severity }) => severity), ['error']);
    });

    it('warns of a pattern without a layer and knows the nearest one', () => {
        const [finding] = validate(recipe(whole('  default: gptq-w4a16-g32\n  rules:\n    - { layers: "*.mlp.down_prj", use: none }')), facts());
        assert.equal(finding?.severity, 'warning');
        assert.deepEqual(finding?.replacements, ['*.mlp.down_proj']);
    });

    it('does not expect an lm_head that shares the embedding', () => {
        const tied = header({ linears: header().linears.filter(({ block }) => block !== null) });
        const text = whole('  default: gptq-w4a16-g32\n  rules:\n    - { layers: lm_head, use: none }');
        assert.deepEqual(found(text), []);
        assert.deepEqual(found(text, model({ state: 'read', header: tied })), ['no-layer-matches: lm_head']);
    });

    it('warns of a recipe that would quantize nothing, whatever keeps the layers', () => {
        const nothing = (quantize: string, known = facts()): string[] => found(whole(quantize), known).filter((one) => one.startsWith('nothing'));
        assert.deepEqual(nothing('  default: none'), ['nothing-to-quantize: none']);
        assert.deepEqual(nothing('  default: gptq-w4a16-g32\n  rules:\n    - { layers: "model.*", use: none }'), ['nothing-to-quantize: gptq-w4a16-g32']);
        assert.deepEqual(nothing('  default: none\n  rules:\n    - { layers: nowhere, use: gptq-w4a16-g32 }'), ['nothing-to-quantize: none']);
        assert.deepEqual(nothing('  default: none\n  rules:\n    - { layers: lm_head, use: gptq-w4a16-g32 }'), []);
        assert.deepEqual(nothing('  default: none\n  budget: { bits_per_weight: 4.5 }'), []);
        assert.deepEqual(nothing('  default: none\n  rulez: []'), [], 'that may be the rule');
        assert.deepEqual(nothing('  default: none\n   rulez: []'), [], 'so may this');
        assert.deepEqual(nothing('  default: none', model({ state: 'refused', code: 'model-missing', folder: '/x', message: '' })), [], 'which layers there are is not known');
    });

    it('marks a candidate that is listed twice, however it is written', () => {
        const text = whole('  default: gptq-w4a16-g32', 'candidates: [gptq-w3a16-g32, { method: gptq, group_size: 32, scheme: W3A16, damping: 0.01 }, gptq-w3a16-channel, nope, nope]\n');
        const [finding] = validate(recipe(text), facts());
        assert.equal(finding?.code, 'duplicate-candidate');
        assert.deepEqual(relatedTexts(text, finding), ['candidate 1: gptq-w3a16-g32']);
        assert.deepEqual(found(text), ['duplicate-candidate: { method: gptq, group_size: 32, scheme: W3A16, damping: 0.01 }', 'unknown-value: nope', 'unknown-value: nope']);
        assert.deepEqual(found(text.replace('0.01', '0.02')).filter((one) => one.startsWith('dup')), []);
    });

    it('marks the value that sets a group size which does not fit, and only for layers that are decided there', () => {
        assert.deepEqual(found(whole('  default: gptq-w4a16-g64')), ['group-size: gptq-w4a16-g64']);
        assert.deepEqual(found(whole('  default: gptq-w4a16')), ['group-size: gptq-w4a16']);
        assert.deepEqual(found(whole('  default: { method: gptq, scheme: W4A16 }')), ['group-size: W4A16']);
        const rule = '  rules:\n    - { layers: "*.down_proj", use: { method: gptq, scheme: W4A16, group_size: 80 } }';
        assert.deepEqual(found(whole(`  default: gptq-w4a16-g64\n${rule}`)), []);
        assert.deepEqual(found(whole(`  default: gptq-w4a16-channel\n${rule.replace('80', '96')}`)), ['group-size: 96']);
    });

    it("refuses layers that GPTQ's format cannot store, for their shape or for what they hold", () => {
        const gptq = 'output_format: gptq\n';
        const rule = (use: string): string => `  default: gptq-w4a16-g32\n  rules:\n    - { layers: lm_head, use: ${use} }`;
        assert.deepEqual(found(whole(rule('rtn-w8a16-g32'), gptq)), []);
        assert.deepEqual(found(whole(rule('rtn-w3a16-g32'))), []);
        const words = "lm_head cannot be stored in GPTQ's format: GPTQ packs the zero points of all outputs into whole 32-bit words, and 100 of 3 bits are none";
        assert.deepEqual(messages(whole(rule('{ method: rtn, scheme: W3A16, group_size: 32 }'), gptq)), [words]);
        assert.deepEqual(found(whole(rule('{ method: rtn, scheme: W3A16, group_size: 32 }'), gptq)), ['output-format: W3A16']);
        const odd = header({ linears: [{ name: 'model.layers.0.mlp.down_proj', block: 0, outputs: 64, inputs: 72, bytes: 9216 }] });
        const inputs = "model.layers.0.mlp.down_proj cannot be stored in GPTQ's format: GPTQ packs 32 inputs at a time, and 32 does not divide the layer's 72";
        const text = whole('  default: rtn-w4a16-channel', `candidates: [rtn-w8a16-channel]\n${gptq}`);
        assert.deepEqual(messages(text, model({ state: 'read', header: odd })), [inputs, inputs]);
        assert.deepEqual(found(text.replace('gptq\n', 'compressed-tensors\n'), model({ state: 'read', header: odd })), []);
    });

    it('marks an argument that takes another output format, unless the format may be what a broken line says', () => {
        const text = whole('  default: { method: gptq, scheme: W4A16, group_size: 32, actorder: group }');
        assert.deepEqual(found(text), ['argument-format: group']);
        assert.deepEqual(validate(recipe(text), facts())[0]?.replacements, ['weight']);
        assert.deepEqual(found(`${text}output_format: gptq_v2\n`), []);
        assert.deepEqual(found(`${text} output_format: gptq_v2\n`).map((one) => one.split(':')[0]), ['yaml-syntax']);
    });

    it('marks an argument that takes another scheme, also within another argument', () => {
        const use = (scheme: string, rounding: string): string => whole(`  default: { method: smoothquant, scheme: ${scheme}, rounding: ${rounding} }`);
        assert.deepEqual(found(use('FP8_DYNAMIC', 'hqq')), ['argument-scheme: hqq']);
        assert.deepEqual(validate(recipe(use('FP8_DYNAMIC', 'hqq')), facts())[0]?.replacements, ['rtn']);
        assert.deepEqual(found(use('MXFP4', '{ norm: 0.5, method: hqq }')), ['argument-scheme: hqq']);
        assert.deepEqual(validate(recipe(use('MXFP4', '{ method: hqq }')), facts())[0]?.replacements, []);
        for (const right of [use('W8A8', 'hqq'), use('W8A8', '{ method: hqq, norm: 0.5 }'), use('FP8_DYNAMIC', 'gptq')]) assert.deepEqual(found(right), [], right);
    });

    it('knows needs of arguments from the schema alone', () => {
        const changed = JSON.parse(JSON.stringify(schemaDocument)) as { $defs: Record<string, { properties: Record<string, object> }> };
        Object.assign(changed.$defs['GptqRounding']!.properties['groups']!, { 'x-needs-output': { dynamic: ['gptq'] }, 'x-needs-scheme': { dynamic: ['W8A16'] } });
        const text = whole('  default: { method: awq, scheme: W4A16, group_size: 32, rounding: { method: gptq, groups: dynamic } }');
        const findings = validate(parseRecipe(text, new RecipeSchema(changed)), facts());
        assert.deepEqual(findings.map(({ code }) => code), ['argument-scheme']);
        const wide = validate(parseRecipe(text.replace('W4A16', 'W8A16'), new RecipeSchema(changed)), facts());
        assert.deepEqual(wide.map(({ message }) => message), ['rounding.groups "dynamic" needs the output format gptq, and this recipe\'s is compressed-tensors']);
    });

    it('refuses a budget that no choice can meet', () => {
        const candidates = 'candidates: [gptq-w4a16-g32, gptq-w8a16-g32]\n';
        assert.match(messages(whole('  default: none\n  budget: { bits_per_weight: 4 }', candidates))[0]!, /needs only 4 bits per weight; the smallest needs 4\.500, the largest 8\.500$/);
        assert.deepEqual(found(whole('  default: none\n  budget: { bits_per_weight: 4.5 }', candidates)), []);
    });

    it('checks what has to divide the inputs of a scheme whose weights have no groups', () => {
        assert.deepEqual(found(whole('  default: fp8_block')), ['group-size: fp8_block']);
        assert.match(messages(whole('  default: { method: fp8, scheme: FP8_BLOCK }'))[0]!, /^group size 128 does not divide the input width 64 of model\.layers\.0\.self_attn\.q_proj$/);
        for (const free of ['fp8', 'fp8_dynamic', 'rtn-w8a8', 'gptq-nvfp4a16', 'rtn-mxfp4a16', 'gptq-w4a16-channel', 'smoothquant-w4a8-g32']) assert.deepEqual(found(whole(`  default: ${free}`)), [], free);
    });

    it('refuses a group size beside a scheme that has its own, once', () => {
        const text = whole('  default: { method: fp8, scheme: FP8_BLOCK, group_size: 96 }');
        assert.deepEqual(found(text), ['unknown-value: 96']);
        assert.deepEqual(messages(text), ['FP8_BLOCK has no group size to choose: remove group_size']);
        assert.deepEqual(found(whole('  default: { method: fp8, scheme: FP8_DYNAMIC, group_size: channel }')), ['unknown-value: channel']);
        assert.deepEqual(found(whole('  default: { method: rtn, scheme: W8A8, group_size: 32 }')), []);
    });

    it('refuses an objective beside a smallest SQNR, which has none', () => {
        const budget = (keys: string): string => whole(`  default: none\n  budget: { ${keys} }`, 'candidates: [gptq-w4a16-g32, gptq-w8a16-g32]\n');
        assert.deepEqual(found(budget('min_sqnr: 20, objective: noise')), ['exclusive-keys: objective']);
        assert.deepEqual(messages(budget('min_sqnr: 20, objective: noise')), ['"objective" and "min_sqnr" exclude each other; only one of min_sqnr, objective can be written']);
        assert.deepEqual(found(budget('bits_per_weight: 5, objective: noise')), []);
        assert.deepEqual(found(budget('objective: noise')), ['missing-key: budget']);
    });

    it('counts what rules need towards bits of a budget, and the whole checkpoint towards its size', () => {
        const candidates = 'candidates: [gptq-w4a16-g32]\n';
        const budget = (limit: string): string => whole(`  default: none\n  budget: { ${limit} }\n  rules:\n    - { layers: "*.mlp.*", use: rtn-w8a16-g32 }\n    - { layers: "*.o_proj", use: none }`, candidates);
        const [attention, mlp] = [3 * (64 * 64 + 2 * 32 * 64), 3 * 3 * 160 * 64];
        const bits = (attention * 4.5 + mlp * 8.5) / (attention + mlp);
        assert.deepEqual(messages(budget('bits_per_weight: 6')), [`no choice of candidates needs only 6 bits per weight; the smallest needs ${bits.toFixed(3)}`]);
        const stored = (attention * 4.5 + mlp * 8.5) / 8 + 16 * 18;
        const bytes = header().bytes - 2 * (attention + mlp) + stored;
        assert.deepEqual(messages(budget('size: 0.9 MB')), [`no choice of candidates needs only 0.9 MB; the smallest needs ${bytes.toLocaleString('en-US')} bytes`]);
        assert.deepEqual(found(budget(`size: ${bytes} B`)), [`budget-idle: ${bytes} B`], 'there is one candidate only');
        assert.deepEqual(found(budget(`size: ${bytes - 1} B`)), [`budget-unreachable: ${bytes - 1} B`]);
    });

    it('reads sizes with decimal and binary units, exactly', () => {
        assert.deepEqual(['12 B', '900 MB', '4.5GiB', '0.1 kB', '1.0009 KiB', '2 TiB'].map(parseSize), [12, 9e8, 4_831_838_208, 100, 1024, 2 ** 41]);
        assert.deepEqual(['5', '5 gb', '5 KB', ' 5 GB', '5  GB', '.5 GB', '5 iB'].map(parseSize), Array(7).fill(undefined));
    });

    it('gives all layers of experts, and layers that are served as one, one candidate', () => {
        const names = ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.experts.0.up_proj', 'mlp.experts.1.up_proj'];
        // NVFP4 is smaller where rows are short: 64 inputs at one scale for each row against four of 8 bits.
        const shapes: readonly [number, number][] = [[8, 64], [8, 1024], [8, 64], [8, 1024]];
        const linears = names.map((name, index) => ({ name: `model.layers.0.${name}`, block: 0, outputs: shapes[index]![0], inputs: shapes[index]![1], bytes: 2 * shapes[index]![0] * shapes[index]![1] }));
        const moe: CheckpointFact = { state: 'read', header: header({ architecture: 'Qwen3MoeForCausalLM', linears, blocks: 1 }) };
        const text = whole('  default: none\n  budget: { bits_per_weight: 1 }', 'candidates: [rtn-w4a16-channel, rtn-w3a16-g32]\n');
        const each = (8 * (64 + 1024) * 3.5) * 2;
        assert.match(messages(text, model(moe))[0]!, new RegExp(`the smallest needs ${(each / (2 * 8 * 1088)).toFixed(3)}, the largest 4\\.029$`));
    });

    it('warns of layers that are served as one and get different schemes, at the first rule', () => {
        const rules = (list: string, more = ''): string => whole(`  default: gptq-w4a16-g32\n${more}  rules:\n${list}`, more ? 'candidates: [gptq-w4a16-g32, awq-w3a16-g32]\n' : '');
        const attention = '    - { layers: "*.k_proj", use: rtn-w8a16-g32 }';
        assert.deepEqual(found(rules(attention)), ['fused-layers: rtn-w8a16-g32']);
        assert.deepEqual(messages(rules(attention)), ['q_proj, k_proj and v_proj of block 0 (and 2 more) get different schemes; vLLM and SGLang need one for all of them']);
        assert.deepEqual(found(rules('    - { layers: "*.k_proj", use: rtn-w4a16-g32 }')), []);
        assert.deepEqual(found(rules('    - { layers: "*.o_proj", use: none }')), []);
        const budget = '  budget: { bits_per_weight: 4.4 }\n';
        assert.deepEqual(found(rules('    - { layers: "*.k_proj", use: rtn-w3a16-g32 }', budget)), []);
        assert.deepEqual(found(rules(attention, budget)), ['fused-layers: rtn-w8a16-g32']);
        assert.deepEqual(validate(recipe(rules(attention)), facts()).map(({ severity }) => severity), ['warning']);
    });

    it('reports a wrong value once, not also what the disk says of it', () => {
        assert.deepEqual(found(whole('  default: none\n  rules:\n    - { layers: "*.down_proj", use: { method: gptq, scheme: W4A16, group_size: 7 } }')), ['out-of-range: 7']);
    });

    it('marks what an alias means where it is written, and mends it there only when it is wrong there, too', () => {
        const both = 'model: tiny\nquantize:\n  default: rtn-w4a16-g32\n  rules:\n    - { layers: "*.q_proj", use: &use rtn-w4a1 }\n    - { layers: "*.o_proj", use: *use }\noutput: out\n';
        assert.deepEqual(validate(recipe(both), facts()).map(({ span, replacements }) => [both.slice(span.start, span.end), replacements]), [['rtn-w4a1', ['rtn-w4a16']]]);
        const other = 'model: &model tiny\nquantize: { default: *model }\noutput: out\n';
        assert.deepEqual(validate(recipe(other), facts()).map(({ code, span, replacements }) => [code, other.slice(span.start, span.end), replacements]), [['unknown-value', 'tiny', []]]);
    });

    it('ends on a recipe whose aliases refer to themselves or multiply', () => {
        found('candidates: &a [*a, *a]\n');
        const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', ...[...'bcdefghij'].map((name, index) => {
            const before = 'abcdefghij'[index];
            return `${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`;
        })].join('\n');
        found(bomb);
    });

    it('links each code to its explanation', () => {
        const parsed = recipe('modle: x\n');
        const [first] = validate(parsed, facts()).map((finding) => diagnostic(parsed, 'file:///r', finding, 'https://example.org/diagnostics.md'));
        assert.equal(first?.codeDescription?.href, `https://example.org/diagnostics.md#${String(first?.code)}`);
    });

    it('knows nothing but the schema: a key of a changed schema is right, one it lost is wrong', () => {
        const properties = { ...schemaDocument.properties };
        delete properties.evaluate;
        const changed = new RecipeSchema({ ...schemaDocument, properties: { ...properties, notes: { type: 'string', description: 'Free text.' } } });
        const text = `${plain}notes: hello\nevaluate: { data: c.txt }\n`;
        assert.deepEqual(validate(parseRecipe(text, changed), facts()).map(({ message }) => message.split(';')[0]), ['unknown key "evaluate"']);
    });
});
