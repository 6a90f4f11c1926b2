import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CheckpointError, MAX_HEADER_BYTES, readHeader } from '../../../protocol/safetensors';
import { packed, safetensors, temporaryFolder } from './checkpoint-files';

describe('the safetensors header reader', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);
    const file = path.join(folder, 'some.safetensors');

    it('reads names, dtypes and shapes in file order', async () => {
        const { header, bytes } = packed({ b: [2, 3], a: [4], scalar: [], empty: [0, 5] });
        writeFileSync(file, safetensors({ __metadata__: { format: 'pt' }, ...header }, bytes));
        const tensors = await readHeader(file);
        assert.deepEqual(tensors.map(({ name, dtype, shape }) => [name, dtype, shape]).sort(), [
            ['a', 'BF16', [4]], ['b', 'BF16', [2, 3]], ['empty', 'BF16', [0, 5]], ['scalar', 'BF16', []],
        ]);
    });

    const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32'): object => ({ dtype, shape, data_offsets: offsets });
    const one = (name: string, value: unknown): object => ({ [name]: value });
    const hostile: readonly (readonly [string, Buffer, RegExp])[] = [
        ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'), /is a Git LFS pointer, not the weights; git lfs pull/],
        ['an empty file', Buffer.alloc(0), /has 0 bytes, too few for a safetensors header/],
        ['a length that does not fit the file', safetensors({}, 0, 500n), /header claims 500 bytes, the file has 10/],
        ['a length beyond the limit', safetensors({}, 0, BigInt(MAX_HEADER_BYTES) + 1n), /header claims 100000001 bytes, the limit is/],
        ['a length beyond all integers', safetensors({}, 0, 0xffff_ffff_ffff_ffffn), /header claims 18446744073709551615 bytes/],
        ['no JSON', safetensors('{"a": ', 0), /header is not JSON/],
        ['bytes that are not UTF-8', Buffer.concat([safetensors('', 0, 4n), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]), /header is not JSON/],
        ['a list', safetensors('[]', 0), /not a JSON object/],
        ['a key twice', safetensors('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4), /has "a" twice/],
        ['metadata that is no map of texts', safetensors({ __metadata__: { a: 1 } }, 0), /__metadata__/],
        ['a tensor that is no object', safetensors(one('a', 5), 0), /tensor "a" is not described/],
        ['a tensor with another key', safetensors(one('a', { ...entry([], [0, 4]), more: 1 }), 4), /tensor "a" is not described/],
        ['an unknown dtype', safetensors(one('a', entry([], [0, 4], 'F33')), 4), /unknown dtype "F33"/],
        ['a dtype from the prototype', safetensors(one('a', entry([], [0, 4], 'constructor')), 4), /unknown dtype/],
        ['a negative size', safetensors(one('a', entry([-1], [0, 4])), 4), /shape that is not a list of sizes/],
        ['a fractional size', safetensors(one('a', entry([1.5], [0, 6])), 6), /shape that is not a list of sizes/],
        ['a size beyond exact integers', safetensors('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}', 4), /shape that is not a list of sizes/],
        ['too many dimensions', safetensors(one('a', entry(Array(65).fill(1), [0, 4])), 4), /shape that is not a list of sizes/],
        ['an overflowing product', safetensors(one('a', entry(Array(8).fill(2 ** 30), [0, 4])), 4), /needs .* bytes for shape/],
        ['a shape that does not fill its bytes', safetensors(one('a', entry([2], [0, 4])), 4), /needs 8 bytes for shape \[2\] of F32 and has 4/],
        ['an end before its start', safetensors(one('a', entry([1], [4, 0])), 4), /not a start and an end/],
        ['three offsets', safetensors(one('a', entry([1], [0, 4, 8])), 8), /not a start and an end/],
        ['an end behind the file', safetensors(one('a', entry([2], [0, 8])), 4), /"a" ends at byte \d+, the file has \d+$/],
        ['an overlap', safetensors({ a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12), /"b" overlaps the tensor before it/],
        ['the same place twice', safetensors({ a: entry([2], [0, 8]), b: entry([2], [0, 8]) }, 8), /overlaps/],
        ['a hole', safetensors({ a: entry([1], [0, 4]), b: entry([1], [8, 12]) }, 12), /"b" leaves a hole before it/],
        ['a hole at the start', safetensors(one('a', entry([1], [4, 8])), 8), /"a" leaves a hole before it/],
        ['bytes behind the last tensor', safetensors(one('a', entry([1], [0, 4])), 7), /its tensors end at byte \d+ and the file at byte \d+$/],
        ['a very long name', safetensors(one('x'.repeat(5000), 1), 0), /^.{1,400}$/],
    ];
    for (const [what, content, sentence] of hostile) {
        it(`refuses ${what}`, async () => {
            writeFileSync(file, content);
            await assert.rejects(readHeader(file), (error: unknown) => {
                assert.ok(error instanceof CheckpointError, String(error));
                assert.equal(error.code, 'model-broken');
                assert.ok(error.message.startsWith(`${file} is broken: `));
                assert.match(error.message.replace(folder, ''), sentence);
                return true;
            });
        });
    }

    it('accepts a __proto__ that is only a name', async () => {
        writeFileSync(file, safetensors('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4));
        assert.deepEqual((await readHeader(file)).map(({ name }) => name), ['__proto__']);
    });
});
