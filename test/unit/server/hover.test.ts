import assert from 'node:assert/strict';
import { hover } from '../../../server/hover';
import { cursor, facts, header } from './fixture';

function text(marked: string, known = facts()): string | undefined {
    const { recipe, offset } = cursor(marked);
    const contents = hover(recipe, offset, known)?.contents;
    return contents && typeof contents === 'object' && 'value' in contents ? contents.value : undefined;
}

describe('hover', () => {
    it('says of a key its meaning, range and default', () => {
        const shown = text('calibration: { data: c.txt, sam|ples: 3 }')!;
        assert.match(shown, /^\*\*samples\*\*/);
        assert.match(shown, /Number of calibration sequences/);
        assert.match(shown, /from 1 to 65536/);
        assert.match(shown, /Default: 128/);
        assert.equal(shown.match(/Default/g)?.length, 1);
    });

    it('lists what a key may be', () => assert.match(text('candidates: [{ met|hod: gptq, scheme: W4A16 }]')!, /gptq/));

    it('says of a short name method, scheme and bits for each weight', () => {
        const shown = text('quantize: { default: gptq-w4|a16-g64 }')!;
        assert.match(shown, /GPTQ/i);
        assert.match(shown, /`W4A16` — 4-bit/);
        assert.match(shown, /4\.25 bits for each weight, in groups of 64/);
        assert.match(text('candidates:\n  - rtn-w3a16|')!, /3\.125 bits for each weight, in groups of 128/);
    });

    it('says how scales are shared where there are no groups, or smaller ones', () => {
        assert.match(text('quantize: { default: fp8|_block }')!, /FP8.*`FP8_BLOCK` — E4M3 weights.*8 bits for each weight, one scale for each block of 128 × 128/s);
        assert.match(text('quantize: { default: fp|8 }')!, /one scale for the whole matrix/);
        assert.match(text('quantize: { default: smoothquant-fp8_dyn|amic }')!, /SmoothQuant.*8 bits for each weight, one scale for each output row/s);
        assert.match(text('quantize: { default: rtn-nv|fp4a16 }')!, /4\.5 bits for each weight, in groups of 16/);
        assert.match(text('quantize: { default: awq-w4|a16-channel }')!, /AWQ.*4 bits for each weight, one scale for each output row/s);
    });

    it('says of a pattern how many layers it matches, and which first', () => {
        const shown = text('model: tiny\nquantize: { rules: [{ layers: "*.mlp.*|" }] }')!;
        assert.match(shown, /\*\*9 layers\*\* with 92\.2 k weights/);
        assert.match(shown, /`model\.layers\.0\.mlp\.gate_proj` 160 × 64/);
        assert.match(shown, /and 3 more/);
        assert.match(text('model: tiny\nquantize: { rules: [{ layers: "*.nothing|" }] }')!, /no layer of tiny/);
    });

    it('says of a model what it is, or why it cannot be used', () => {
        const shown = text('model: ti|ny')!;
        for (const part of ['LlamaForCausalLM', '1.23 M parameters', 'bfloat16', '2.47 MB', '3 blocks', '21 layers', '`lm_head` only when a rule names it', 'Sequences of at most 512 tokens']) assert.ok(shown.includes(part), part);
        const refused = facts({ checkpoints: new Map([['tiny', { state: 'refused', folder: '/t', code: 'model-broken', message: 'why' }]]) });
        assert.equal(text('model: ti|ny', refused), 'why');
        assert.match(text('model: ti|ny', facts({ checkpoints: new Map([['tiny', { state: 'read', header: header({ quantization: 'awq' }) }]]) }))!, /Already quantized \(awq\)/);
    });

    it('says of a scheme and of none what they mean', () => {
        assert.match(text('candidates: [{ method: gptq, scheme: W4A|16 }]')!, /4-bit/);
        assert.match(text('quantize: { default: no|ne }')!, /Keep the layer/);
    });

    it('says of a model that is not there that nothing is downloaded', () => {
        const missing = (name: string): string => text(`model: |${name}`, facts({ checkpoints: new Map([[name, { state: 'refused', folder: '/m', code: 'model-missing', message: 'why' }]]) }))!;
        assert.match(missing('meta-llama/Llama-3.2-1B'), /^why\n\nOnly local folders are read.*hf download meta-llama\/Llama-3\.2-1B --local-dir FOLDER/);
        assert.equal(missing('checkpoints/sub/tiny'), 'why');
    });

    it('counts the head of a model only where a rule names it', () => {
        const shown = text('model: ti|ny\nquantize: { rules: [{ layers: "lm_*", use: none }] }')!;
        assert.match(shown, /22 layers/);
        assert.doesNotMatch(shown, /only when a rule/);
    });

    it('says that a scheme with stored scales of inputs needs calibration', () => {
        for (const [marked, scheme] of [['fp|8', 'FP8'], ['rtn-nvf|p4', 'NVFP4'], ['{ method: f|p8, scheme: FP8 }', 'FP8']]) {
            const shown = text(`quantize: { default: ${marked} }`)!;
            assert.ok(shown.includes(`\`${scheme}\` needs calibration data, for the scale of its inputs.`), marked);
            assert.doesNotMatch(shown, /Needs no calibration/);
        }
        for (const marked of ['fp8_|dynamic', 'rtn-w4a|16', '{ method: f|p8, scheme: FP8_DYNAMIC }']) assert.match(text(`quantize: { default: ${marked} }`)!, /Needs no calibration data\./);
        assert.match(text('quantize: { default: { method: f|p8 } }')!, /Needs no calibration data, except for `FP8`\./);
    });

    it('says of the key that names a method what all methods have in common', () => {
        const shown = text('candidates: [{ met|hod: gptq, scheme: W4A16 }]')!;
        assert.match(shown, /How the stored weights are found/);
        assert.match(shown, /Values: `gptq`, `awq`, `smoothquant`, `fp8`, `hqq`, `rtn`\./);
        assert.doesNotMatch(shown, /column by column/);
    });

    it('says of other groups than those of the scheme how many inputs share a scale', () => {
        assert.match(text('quantize: { default: gptq-w4|a16-g64 }')!, /a scale for each 64 inputs/);
        assert.match(text('quantize: { default: gptq-w4|a16-channel }')!, /a scale for each output row/);
        assert.match(text('candidates: [{ method: gptq, scheme: W8A|16, group_size: 64 }]')!, /a scale for each 64 inputs/);
        for (const marked of ['gptq-w4|a16-g64', 'gptq-w4|a16-channel']) assert.doesNotMatch(text(`quantize: { default: ${marked} }`)!, /128/);
    });

    it('says of a group size that decides nothing that there is none', () => {
        const shown = text('candidates: [{ method: fp8, scheme: FP8_DYNAMIC, group_|size: 128 }]')!;
        assert.match(shown, /FP8_DYNAMIC has no group size to choose/);
        assert.doesNotMatch(shown, /bits for each weight/);
        assert.doesNotMatch(text('candidates: [{ method: fp8, scheme: FP8_DYN|AMIC, group_size: 128 }]')!, /groups of 128/);
    });

    it('says of every key what kind of value it takes, and its default once', () => {
        for (const [marked, first] of [
            ['calibration: { data: x, sam|ples: 3 }', '**samples** — a whole number'], ['mod|el: x', '**model** — a string'], ['quantize: { defa|ult: none }', '**default** — a string or a mapping'],
            ['calib|ration: { data: x }', '**calibration** — a mapping'], ['evaluate: { data: x, base|line: true }', '**baseline** — true or false'], ['quantize: { ru|les: [] }', '**rules** — a list'],
        ] as const) assert.equal(text(marked)!.split('\n')[0], first);
        for (const marked of ['candi|dates: []', 'devi|ces: []']) {
            assert.match(text(marked)!, /Absent:/);
            assert.doesNotMatch(text(marked)!, /Default/);
        }
    });

    it('names of very many values one of each method, and how many more there are', () => {
        const shown = text('quantize: { defa|ult: none }')!;
        assert.match(shown, /Values: `none`, `gptq-w4a16`, `awq-w4a16`, `smoothquant-w8a8`, `fp8_dynamic`, `hqq-w4a16`, `rtn-w4a16` and \d+ more\./);
        assert.doesNotMatch(shown, /…/);
    });

    it('says of an alias what it stands for', () => {
        const shown = text('candidates:\n  - &low { method: rtn, scheme: W4A16, group_size: 64 }\nquantize: { default: *l|ow }')!;
        assert.match(shown, /^\*\*\*low\*\* — `\{ method: rtn, scheme: W4A16, group_size: 64 \}`/);
        assert.match(shown, /Round to nearest/);
        assert.match(shown, /4\.25 bits for each weight, in groups of 64/);
        assert.match(text('candidates: [&low gptq-w4a16]\nquantize: { default: *l|ow }')!, /GPTQ/);
    });

    it('is silent about unknown keys and comments', () => {
        assert.equal(text('unkn|own: 1'), undefined);
        assert.equal(text('model: tiny # com|ment\n'), undefined);
    });

    it('says of a method what it does, its paper and its arguments', () => {
        const shown = text('candidates: [{ method: gp|tq, scheme: W4A16 }]')!;
        assert.match(shown, /\*\*GPTQ\*\*\. Quantizes column by column/);
        assert.match(shown, /Paper: \[GPTQ: Accurate[^\]]*\]\(https:\/\/arxiv\.org\/abs\/2210\.17323\)/);
        assert.match(shown, /`W4A16` — 4-bit integer weights[^]*4\.125 bits for each weight/);
        assert.match(shown, /^- `actorder` — `weight`, `group`, `none` \(default: weight\)$/m);
        assert.ok(shown.split('\n').every((line) => line.length < 240), 'no argument takes a paragraph');
        for (const argument of ['group_size', 'damping', 'actorder']) assert.match(shown, new RegExp(`^- \`${argument}\``, 'm'));
        assert.match(text('candidates:\n  - gptq-w4a|16')!, /Paper: .*\n\nArguments of the long form: `group_size`, `damping`/);
        assert.match(text('candidates: [{ method: r|tn, scheme: W4A16 }]')!, /Needs no calibration data/);
        for (const [name, { paper }] of Object.entries(cursor('|').recipe.schema.methods)) assert.match(paper?.url ?? '', /^https:\/\//, name);
    });

    it('says of a rounding and of its arguments what they do', () => {
        for (const before of ['candidates: [{ method: awq, scheme: W4A16, rounding: { method: ', 'quantize:\n  default:\n    method: awq\n    rounding:\n      method: ']) {
            const shown = text(`${before}hq|q`)!;
            assert.match(shown, /\*\*HQQ\*\*\. Fits each group/);
            assert.match(shown, /^- `norm`/m);
            assert.doesNotMatch(shown, /Needs no calibration data|group_size/, 'that is said of what has the scheme');
        }
        assert.match(text('candidates: [{ method: awq, scheme: W4A16, rounding: { method: gptq, dam|ping: 0.1 } }]')!, /\*\*damping\*\*[^]*Range: above 0 to 1\./);
        assert.match(text('candidates: [{ method: awq, scheme: W4A16, rounding: h|qq }]')!, /^`hqq` — HQQ\. Fits each group/);
        assert.match(text('candidates: [{ method: awq, scheme: W4A16, round|ing: rtn }]')!, /Values: `rtn`, `gptq`, `hqq`\./);
    });

    it('splits bits into codes, scales and zero points', () => {
        assert.match(text('candidates: [{ method: gptq, scheme: W4A|16 }]')!, /4\.125 bits for each weight, in groups of 128: 4 and 0\.125 for scales\./);
        assert.match(text('candidates: [{ method: gptq, scheme: W4A16_AS|YM, group_size: 32 }]')!, /4\.625 bits for each weight, in groups of 32: 4 and 0\.625 for scales and zero points\./);
        assert.match(text('candidates: [{ method: gptq, scheme: W4A16, group_si|ze: 32 }]')!, /4\.5 bits for each weight/);
    });

    it('says which share of the model a pattern is', () => {
        assert.match(text('model: tiny\nquantize: { rules: [{ layers: "*.mlp.*|" }] }')!, /92\.2 k weights, 7\.5 % of the model/);
    });

    it('shows what the last run measured on the layers of a pattern', () => {
        const measured = (sqnr: number): unknown => ({ sqnr_db: sqnr, state: 'finite' });
        const layers = header().linears.map(({ name, block }) => ({ name, candidates: { 'gptq-w4a16': measured(30 + (block ?? 0)), 'rtn-w3a16': measured(10) } }));
        const ran = 'model: tiny\ncandidates: [gptq-w4a16, rtn-w3a16]\n';
        const known = facts({ result: { result: { run: 'run-1', candidates: ['gptq-w4a16', 'rtn-w3a16'], layers } as never, ran } });
        const shown = text(`${ran}quantize: { rules: [{ layers: "*.up_proj|" }] }`, known)!;
        assert.match(shown, /SQNR in dB, run run-1:\n\n\| candidate \| mean \| lowest \| lowest in \|\n.*\n\| `gptq-w4a16` \| 31\.0 \| 30\.0 \| `model\.layers\.0\.mlp\.up_proj` \|\n\| `rtn-w3a16` \| 10\.0 \| 10\.0 \|/);
        assert.match(text(`${ran}calibration: { data: c.txt }\nquantize: { rules: [{ layers: "*.up_proj|" }] }`, known)!, /with other calibration data/);
        assert.doesNotMatch(text('model: other\nquantize: { rules: [{ layers: "*.up_proj|" }] }', known) ?? '', /SQNR/);
    });

    it('says what the section and a budget come to for this checkpoint', () => {
        const recipe = (budget: string): string => `model: tiny\ncandidates: [rtn-w4a16-g32, rtn-w8a16-g32]\nquantize: { default: rtn-w4a16-g32${budget} }\n`;
        assert.match(text(recipe('').replace('quantize', 'quan|tize'))!, /Here: \*\*4\.5 bits\*\* for each quantized weight, \*\*2\.\d+ MB\*\* in place of 2\.47 MB \(\d+ %\)/);
        const range = /The candidates reach from 4\.5 bits \(2\.\d+ MB\) to 8\.5 bits \(2\.\d+ MB\)\./;
        const asked = text(recipe(', budget: { bits_per_weight: 5|.5 }'))!;
        assert.match(asked, /For this checkpoint at most \*\*2\.\d+ MB\*\* of 2\.47 MB/);
        assert.match(asked, range);
        assert.match(text(recipe(', budget: { si|ze: 2300 kB }'))!, /at most \*\*\d\.\d+ bits per weight\*\*; it has 2\.47 MB now/);
        assert.match(text(recipe(', bud|get: { size: 2300 kB }'))!, range);
    });

    it('says what a smallest SQNR cost in the last run', () => {
        const points = [{ bits_per_weight: 4.5, bytes: 2e6, min_sqnr_db: 18 }, { bits_per_weight: 5, bytes: 2.1e6, min_sqnr_db: 26 }];
        const known = facts({ result: { result: { run: 'run-1', layers: [], pareto: { points } } as never, ran: undefined } });
        const budget = (limit: number): string => text(`model: tiny\ncandidates: [rtn-w4a16-g32]\nquantize: { default: none, budget: { min_sqnr: |${limit} } }`, known)!;
        assert.match(budget(20), /In run run-1 the smallest point of the front that kept 20 dB had 5 bits per weight, 2\.1 MB/);
        assert.match(budget(40), /no point of the front kept 40 dB; the best one kept 26\.0 dB/);
    });

    it('says of a file of texts what is in it, and how many sequences that can give', () => {
        const file = { kind: 'file', realPath: '/c.jsonl', text: 'some', bytes: 12_600, fields: ['text', 'a`b'], lines: { count: 1234, isExact: true } } as const;
        const known = (changes = {}): ReturnType<typeof facts> => facts({ files: new Map([['d/c.jsonl', { ...file, ...changes }]]) });
        const marked = 'model: tiny\ncalibration: { data: d/c|.jsonl, samples: 8, sequence_length: 64 }\n';
        assert.equal(
            text(marked, known()),
            '**`c.jsonl`** — 1,234 lines with `text`, `a b`, 12.6 kB\n\nAt most 200 sequences of 64 tokens, as every token stands for at least one byte; 8 are asked for.',
        );
        assert.match(text(marked, known({ lines: { count: 9, isExact: false }, fields: undefined }))!, /— about 9 lines, 12\.6 kB/);
        assert.match(text(marked, known({ text: 'none', fields: ['content'] }))!, /has no text: the fields of its first line are content$/);
        assert.match(text(marked, known({ kind: 'missing', text: undefined }))!, /^no file at "d\/c\.jsonl"$/);
        assert.doesNotMatch(text(marked.replace('tiny', 'other'), known())!, /sequences/);
        assert.match(text(marked, facts())!, /^\*\*data\*\*/);
    });

    it('says of a head that is the embedding that it stays', () => {
        const tied = header({ tiedHead: 'lm_head', linears: header().linears.filter(({ name }) => name !== 'lm_head') });
        const known = facts({ checkpoints: new Map([['tiny', { state: 'read', header: tied }]]) });
        const sentence = /`lm_head` shares the weight of the embedding/;
        assert.match(text('model: ti|ny', known)!, sentence);
        assert.match(text('model: tiny\nquantize: { rules: [{ layers: lm_|head }] }', known)!, sentence);
        assert.doesNotMatch(text('model: tiny\nquantize: { rules: [{ layers: "*.up_pr|oj" }] }', known)!, sentence);
        assert.doesNotMatch(text('model: ti|ny')!, sentence);
    });
});
