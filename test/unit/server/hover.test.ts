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
        assert.match(shown, /4\.25 bits for each weight in groups of 64/);
        assert.match(text('candidates:\n  - rtn-w3a16|')!, /3\.125 bits for each weight in groups of 128/);
    });

    it('says how scales are shared where there are no groups, or smaller ones', () => {
        assert.match(text('quantize: { default: fp8|_block }')!, /FP8.*`FP8_BLOCK` — E4M3 weights.*8 bits for each weight, one scale for each block of 128 × 128/s);
        assert.match(text('quantize: { default: fp|8 }')!, /one scale for the whole matrix/);
        assert.match(text('quantize: { default: smoothquant-fp8_dyn|amic }')!, /SmoothQuant.*8 bits for each weight, one scale for each output row/s);
        assert.match(text('quantize: { default: rtn-nv|fp4a16 }')!, /4\.5 bits for each weight in groups of 16/);
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
        for (const part of ['LlamaForCausalLM', '1.23 M parameters', 'bfloat16', '2.47 MB', '3 blocks', '22 layers', '512 tokens']) assert.ok(shown.includes(part), part);
        const refused = facts({ checkpoints: new Map([['tiny', { state: 'refused', folder: '/t', code: 'model-broken', message: 'why' }]]) });
        assert.equal(text('model: ti|ny', refused), 'why');
        assert.match(text('model: ti|ny', facts({ checkpoints: new Map([['tiny', { state: 'read', header: header({ quantization: 'awq' }) }]]) }))!, /Already quantized \(awq\)/);
    });

    it('says of a scheme and of none what they mean', () => {
        assert.match(text('candidates: [{ method: gptq, scheme: W4A|16 }]')!, /4-bit/);
        assert.match(text('quantize: { default: no|ne }')!, /Keep the layer/);
    });

    it('is silent about unknown keys and comments', () => {
        assert.equal(text('unkn|own: 1'), undefined);
        assert.equal(text('model: tiny # com|ment\n'), undefined);
    });
});
