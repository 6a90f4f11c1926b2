import assert from 'node:assert/strict';
import { bitsPerWeight, storedBytes, type WeightFormat } from '../../../protocol/formats';

describe('stored bytes of 4-bit floats', () => {
    const nvfp4: WeightFormat = { num_bits: 4, symmetric: true, group_size: 16, scale_bits: 8, block: null, per_tensor: false, inputs: null };

    it('count a factor for the weights, and one more for rounded inputs', () => {
        assert.equal(storedBytes(nvfp4, 16, 48, 384, 2), (48 * 384) / 2 + 48 * 24 + 4);
        assert.equal(storedBytes({ ...nvfp4, inputs: 4 }, 16, 48, 384, 2), (48 * 384) / 2 + 48 * 24 + 8);
    });

    it('count none where scales are powers of two', () => {
        for (const inputs of [null, 4]) assert.equal(storedBytes({ ...nvfp4, group_size: 32, inputs }, 32, 48, 384, 2), (48 * 384) / 2 + 48 * 12);
    });
});

describe("GPTQ's layout", () => {
    const format: WeightFormat = { num_bits: 3, symmetric: true, group_size: 64, scale_bits: null, block: null, per_tensor: false, inputs: null, is_gptq: true };

    it('has codes, float16 scales, zero points also of symmetric schemes, and the group of each input', () => {
        const bytes = (48 * 384 * 3) / 8 + 48 * 6 * 2 + (48 * 6 * 3) / 8 + 384 * 4;
        for (const scale of [2, 4]) assert.equal(storedBytes(format, 64, 48, 384, scale), bytes);
        assert.equal(bitsPerWeight(format, 64, 48, 384, 32), (8 * bytes) / (48 * 384));
        assert.equal(storedBytes({ ...format, symmetric: false }, null, 48, 384, 2), (48 * 384 * 3) / 8 + 48 * 2 + (48 * 3) / 8 + 384 * 4);
    });
});
