import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nextFree, outputOf } from '../../../src/runs/output';

describe('where a run writes to', () => {
    let folder: string;
    const recipe = (text: string): string => {
        const file = path.join(folder, 'a.quant.yaml');
        writeFileSync(file, text);
        return file;
    };
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), 'output-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    it('is relative to the recipe', async () => {
        assert.equal(await outputOf(recipe('model: x\noutput: out/mixed # here\n')), path.join(folder, 'out/mixed'));
        assert.equal(await outputOf(recipe('output: /elsewhere/mixed\n')), '/elsewhere/mixed');
    });

    it('is left to the engine when the recipe does not say it', async () => {
        for (const text of ['model: x\n', 'output:\n', 'output: [1\n', '', 'output: 3\n']) assert.equal(await outputOf(recipe(text)), undefined);
        assert.equal(await outputOf(path.join(folder, 'missing.quant.yaml')), undefined);
    });

    it('goes on with the next number that is free', async () => {
        for (const name of ['mixed', 'mixed-2']) mkdirSync(path.join(folder, name));
        assert.equal(await nextFree(path.join(folder, 'mixed')), path.join(folder, 'mixed-3'));
        assert.equal(await nextFree(path.join(folder, 'mixed-2')), path.join(folder, 'mixed-3'));
    });
});
