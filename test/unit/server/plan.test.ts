import assert from 'node:assert/strict';
import { readCheckpoint } from '../../../protocol/checkpoint';
import { bitsAt, bytesAt, plannedSize, reachable } from '../../../server/plan';
import { header, recipe, sample, schema, whole } from './fixture';

describe('what a recipe comes to', () => {
    it('is what the engine finds before a run', async () => {
        const sampleHeader = await readCheckpoint('samples/checkpoints/tiny-llama-pydoc', schema.architectures);
        // `quant-engine preflight samples/mixed.quant.yaml` says these two.
        assert.deepEqual(plannedSize(recipe(sample), sampleHeader), { bitsPerWeight: 5.0773809523809526, bytes: 4_287_024, weights: 3_440_640 });
    });

    it('is not known while a budget chooses, nothing is quantized, or something cannot be read', () => {
        const candidates = 'candidates: [rtn-w4a16-g32]\n';
        for (const quantize of ['  default: none', '  default: nope', '  default: none\n  rules: [{ layers: "*", use: nope }]', '  default: rtn-w4a16-g32\n  budget: { bits_per_weight: 5 }']) {
            assert.equal(plannedSize(recipe(whole(quantize, candidates)), header()), undefined, quantize);
        }
    });

    it('reaches from the smallest candidate of each unit to the largest, rules as they are', () => {
        const text = whole('  default: none\n  budget: { bits_per_weight: 5 }\n  rules: [{ layers: "*.down_proj", use: rtn-w8a16-g32 }]', 'candidates: [rtn-w8a16-g32, rtn-w4a16-g32]\n');
        const range = reachable(recipe(text), header())!;
        // Of 129,024 weights the 30,720 of down_proj always have 8.5 bits.
        assert.equal(range.least.bitsPerWeight, (98_304 * 4.5 + 30_720 * 8.5) / 129_024);
        assert.equal(range.most.bitsPerWeight, 8.5);
        const middle = (range.least.bitsPerWeight + range.most.bitsPerWeight) / 2;
        assert.ok(Math.abs(bitsAt(range, bytesAt(range, middle)) - middle) < 1e-9);
        assert.equal(bytesAt(range, 99), range.most.bytes);
        assert.equal(reachable(recipe(whole('  default: none')), header()), undefined, 'without candidates nothing is chosen');
    });
});
