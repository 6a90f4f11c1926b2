import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../../scripts/lib/paths.mjs';
import { bits, comparableDecimals, decimals, significantDecimals } from '../../../protocol/decimals';
import { Formats } from '../../../webview/shared/format';

/** Figures as the engine writes them, too: engine/tests/test_figures.py reads the same file. */
const figures = JSON.parse(readFileSync(path.join(root, 'test', 'corpus', 'figures.json'), 'utf8')) as {
    readonly bits: readonly [number, string][];
    readonly significant: readonly [number, string][];
    readonly comparable: readonly [number[], string[]][];
};

describe('decimals', () => {
    it('are those of the engine', () => {
        const formats = new Formats('en');
        for (const [value, text] of figures.bits) assert.deepEqual([bits(value), formats.bits(value)], [text, text]);
        for (const [value, text] of figures.significant) assert.equal(decimals(value, significantDecimals(value)), text);
        for (const [values, texts] of figures.comparable) assert.deepEqual(values.map((value) => decimals(value, comparableDecimals(values))), texts);
    });

    it('round a tie to the even digit, as the engine does when it prints', () => {
        assert.deepEqual([4.125, 4.375, 4.0625, -4.125].map((value) => decimals(value, 2)), ['4.12', '4.38', '4.06', '-4.12']);
        assert.equal(decimals(4.0625, 3), '4.062');
        assert.equal(decimals(31.35000001, 1), '31.4');
    });

    it('are the same in the panel', () => {
        const formats = new Formats('en');
        for (const value of [4.125, 4.375, 4.0625, 31.25, 0.5]) {
            for (const digits of [0, 1, 2, 3]) assert.equal(formats.fixed(value, digits), decimals(value, digits));
        }
    });

    it('have a point and no grouping', () => assert.equal(decimals(1234567.5, 1), '1234567.5'));
});
