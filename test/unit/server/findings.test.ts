import assert from 'node:assert/strict';
import { DiagnosticTag } from 'vscode-languageserver/node';
import { diagnostic } from '../../../server/diagnostic';
import type { CheckpointFact, Facts, FileFact } from '../../../server/facts';
import type { Code, Finding } from '../../../server/finding';
import { parseRecipe } from '../../../server/recipe';
import { RecipeSchema } from '../../../server/schema';
import { validate } from '../../../server/validate';
import { facts, header, recipe, relatedTexts, schemaDocument, whole } from './fixture';

function all(text: string, known = facts()): Finding[] {
    return validate(recipe(text), known);
}

function only(text: string, known = facts()): Finding {
    const found = all(text, known);
    assert.equal(found.length, 1, JSON.stringify(found.map(({ code, message }) => `${code}: ${message}`)));
    return found[0]!;
}

function marked(text: string, { span }: Finding): string {
    return text.slice(span.start, span.end);
}

const data = (fact: Partial<FileFact>): Facts => facts({ files: new Map([...facts().files, ['c.txt', { kind: 'file', realPath: '/c', text: 'some', ...fact }]]) });
const model = (fact: CheckpointFact): Facts => facts({ checkpoints: new Map([['tiny', fact]]) });

describe('findings', () => {
    it('of a rule that never decides point at every rule before it', () => {
        const text = whole('  default: none\n  rules:\n    - { layers: "*.layers.0.*", use: gptq-w4a16-g32 }\n    - { layers: lm_head, use: none }\n    - { layers: "*.layers.[12].*", use: gptq-w4a16-g32 }\n    - { layers: "*.up_proj", use: none }');
        const finding = only(text);
        assert.deepEqual([finding.code, marked(text, finding)], ['rule-shadowed', '"*.up_proj"']);
        assert.deepEqual(relatedTexts(text, finding), ['rule 1: "*.layers.0.*"', 'rule 3: "*.layers.[12].*"']);
    });

    it('of a pattern whose layers are named before it point at what names them', () => {
        const text = whole('  default: none\n  rules:\n    - { layers: "*.q_proj", use: none }\n    - layers: ["*.k_proj", "*.[qk]_proj", "*.o_proj"]\n      use: none\n    - { layers: "*.v_proj", use: rtn-w4a16-g32 }');
        const finding = all(text).find(({ code }) => code === 'layers-repeated')!;
        assert.equal(marked(text, finding), '"*.[qk]_proj"');
        assert.deepEqual(relatedTexts(text, finding), ['*.q_proj: "*.q_proj"', '*.k_proj: "*.k_proj"']);
    });

    it('of fused layers point at what the others become', () => {
        const text = whole('  default: gptq-w4a16-g32\n  rules:\n    - { layers: "*.q_proj", use: gptq-w8a16-g32 }\n    - { layers: "*.k_proj", use: none }');
        assert.deepEqual(relatedTexts(text, only(text)), ['rule 2: none', 'the default: gptq-w4a16-g32']);
    });

    it('of what the checkpoint says otherwise point at its config.json', () => {
        const text = whole('  default: none\n  rules: [{ layers: lm_head, use: rtn-w4a16-g32 }]').replace('c.txt }', 'c.txt, sequence_length: 999 }');
        const finding = only(text);
        const [related] = diagnostic(recipe(text), 'file:///r', finding, '').relatedInformation ?? [];
        assert.deepEqual([finding.code, related?.location.uri, related?.message], ['sequence-too-long', 'file:///models/tiny/config.json', 'max_position_embeddings: 512']);
    });

    it('of a method without the scheme offer what is near', () => {
        const long = whole('  default: { method: awq, scheme: W4A8 }');
        assert.deepEqual([only(long).code, marked(long, only(long)), only(long).replacements], ['method-scheme', 'W4A8', ['W4A16']]);
        const short = whole('  default: awq-w4a8-g32');
        assert.deepEqual([only(short).code, only(short).replacements], ['method-scheme', ['gptq-w4a8-g32', 'smoothquant-w4a8-g32', 'hqq-w4a8-g32', 'rtn-w4a8-g32']]);
        for (const replacement of only(short).replacements!) assert.deepEqual(all(short.replace('awq-w4a8-g32', replacement)).filter(({ severity }) => severity === 'error'), [], replacement);
    });

    it('of a scheme without a method offer all methods that have it', () => {
        const text = whole('  default: w4a8-g32');
        assert.deepEqual([only(text).code, marked(text, only(text))], ['method-scheme', 'w4a8-g32']);
        assert.deepEqual(only(text).replacements, ['gptq-w4a8-g32', 'smoothquant-w4a8-g32', 'hqq-w4a8-g32', 'rtn-w4a8-g32']);
        for (const replacement of only(text).replacements!) assert.deepEqual(all(text.replace('w4a8-g32', replacement)).filter(({ severity }) => severity === 'error'), [], replacement);
        assert.deepEqual(only(whole('  default: NVFP4')).replacements, ['gptq-nvfp4', 'rtn-nvfp4']);
    });

    it('of texts that are too short for any tokenizer', () => {
        const text = whole('  default: gptq-w4a16-g32').replace('c.txt }', 'c.txt, samples: 10, sequence_length: 101 }');
        assert.deepEqual(all(text, data({ bytes: 1000 })), []);
        const finding = only(text, data({ bytes: 999 }));
        assert.deepEqual([finding.code, finding.severity, finding.message], ['data-short', 'warning', '"c.txt" gives at most 9 of 10 sequences of 101 tokens: it has 999 bytes']);
        assert.deepEqual(all(text, data({})), [], 'how long it is is not known');
        const usual = whole('  default: gptq-w4a16-g32');
        assert.match(only(usual, data({ bytes: 1000 })).message, /at most 1 of 128 sequences of 512 tokens/);
    });

    it('of a folder in the place of a file say what it has', () => {
        const folder = (more: object): string => only(whole('  default: gptq-w4a16-g32'), data({ kind: 'folder', text: undefined, data: { file: undefined, isDataset: false, rows: undefined, columns: [], splits: [], ...more } })).message;
        assert.equal(folder({}), '"c.txt" is a folder; only .jsonl and .txt files are read');
        assert.equal(folder({ file: 'a.jsonl' }), '"c.txt" is a folder; did you mean "c.txt/a.jsonl"?');
        assert.equal(folder({ isDataset: true, rows: 12_345, columns: ['id', 'text'] }), '"c.txt" is a dataset folder with 12,345 rows; columns id, text; only .jsonl and .txt files are read');
        assert.equal(folder({ isDataset: true }), '"c.txt" is a dataset folder; only .jsonl and .txt files are read');
    });

    it('of a checkpoint without a tokenizer, when there are texts', () => {
        const without = model({ state: 'read', header: header(), hasTokenizer: false });
        assert.equal(only(whole('  default: gptq-w4a16-g32'), without).code, 'tokenizer');
        assert.deepEqual(all('model: tiny\nquantize: { default: rtn-w4a16-g32 }\noutput: out\n', without), []);
        assert.deepEqual(all(whole('  default: gptq-w4a16-g32'), model({ state: 'read', header: header() })), [], 'nobody has looked for one');
    });

    it('of a disk without room say how much is missing, once for each disk', () => {
        const text = whole('  default: gptq-w4a16-g32');
        const disks = (target: object, runs: object): Facts => facts({ runs: '/r/runs', disks: new Map([['out', { device: '1', free: 1e12, ...target }], ['runs', { device: '1', free: 1e12, ...runs }]]) });
        assert.deepEqual(all(text, disks({}, {})), []);
        const finding = only(text, disks({ free: 1000 }, { free: 1000 }));
        assert.match(finding.message, /^about \d\.\d MB are needed for "out", 1\.0 kB are free$/);
        assert.equal(marked(text, finding), 'out');
        assert.deepEqual(all(text, disks({ free: 1000 }, { device: '2', free: 0 })).map(({ message }) => /"(.*)"/.exec(message)?.[1]), ['out', '/r/runs']);
        const exists = facts({ ...disks({ free: 1 }, {}), files: new Map([...facts().files, ['out', { kind: 'folder', realPath: '/out', text: undefined }]]) });
        assert.equal(only(text, exists).code, 'output-exists');
    });

    it('of deprecated keys name the new one, and their values are checked like any other', () => {
        const document = structuredClone(schemaDocument);
        const properties = document.$defs!.Calibration!.properties as Record<string, object>;
        properties.sequences = { ...properties.samples, deprecated: true, 'x-replaced-by': 'samples' };
        properties.order = { type: 'string', deprecated: true };
        const text = whole('  default: gptq-w4a16-g32').replace('c.txt }', 'c.txt, sequences: 0, order: any }');
        const parsed = parseRecipe(text, new RecipeSchema(document));
        const found = validate(parsed, facts());
        assert.deepEqual(found.map((finding) => [finding.code, marked(text, finding), finding.message]), [
            ['deprecated-key', 'sequences', '"sequences" is deprecated; write "samples"'], ['out-of-range', '0', '0 is below the minimum of 1'], ['deprecated-key', 'order', '"order" is deprecated'],
        ]);
        assert.deepEqual(found[0]!.replacements, ['samples']);
        assert.deepEqual(diagnostic(parsed, 'file:///r', found[0]!, '').tags, [DiagnosticTag.Deprecated]);
    });

    it('never show a secret', () => {
        const token = `hf_${'x'.repeat(34)}`;
        const text = `model: ${token}\napi_key: "${token}" # ${token}\npassword: 'a b'\nquantize: { default: a b }\noutput: out\n${token}\n`;
        const found = all(text);
        assert.equal(found.filter(({ code }) => code === 'secret').length, 5);
        for (const { message } of found) assert.ok(!message.includes(token) && !message.includes('a b'), message);
    });

    it('are warnings or errors, never both for one code, and only what does nothing is faded', () => {
        const tags: Partial<Record<Code, readonly DiagnosticTag[]>> = {
            'duplicate-key': [DiagnosticTag.Unnecessary], 'rule-shadowed': [DiagnosticTag.Unnecessary], 'layers-repeated': [DiagnosticTag.Unnecessary], 'duplicate-candidate': [DiagnosticTag.Unnecessary],
        };
        const text = whole('  default: gptq-w4a16-g32\n  default: none\n  rules:\n    - { layers: "*", use: none }\n    - { layers: ["*.q_proj", "*.q_proj"], use: none }', 'candidates: [rtn-w4a16-g32, rtn-w4a16-g32]\n');
        for (const finding of all(text)) assert.deepEqual(diagnostic(recipe(text), 'file:///r', finding, '').tags, tags[finding.code], finding.code);
    });
});
