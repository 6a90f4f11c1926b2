import assert from 'node:assert/strict';
import { storedBytes, type WeightFormat } from '../../../protocol/formats';

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
