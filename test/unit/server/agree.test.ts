import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root, venvPython } from '../../../scripts/lib/paths.mjs';
import { layoutOf } from '../../../server/layout';
import { soundPart } from '../../../server/sound';
import { recipe, schema } from './fixture';
import { changedTexts, damagedTexts } from './mistaken';

/** Reads texts with the engine's reader, a line of JSON each. */
const ENGINE = `
import json, sys
from quant_engine.layout import layout_faults
roots, texts = json.load(sys.stdin)
for text in texts:
    print(json.dumps([[fault.start, fault.end, fault.message, fault.is_legal] for fault in layout_faults(text, roots)]))
`;

describe('the reading of lines', function () {
    this.timeout(120_000);
    const texts = [...changedTexts().map(({ text }) => text), ...damagedTexts()];
    const roots = schema.root.alternatives.flatMap(({ schema: { properties } }) => Object.keys(properties ?? {}));

    it('is the same in the editor and in the engine, whatever is broken', () => {
        const input = JSON.stringify([roots, texts]);
        const env = { ...process.env, PYTHONPATH: path.join(root, 'engine') };
        const { stdout, stderr, status } = spawnSync(venvPython, ['-c', ENGINE], { input, env, encoding: 'utf8', maxBuffer: 2 ** 28 });
        assert.equal(status, 0, stderr);
        const answers = stdout.trim().split('\n');
        assert.equal(answers.length, texts.length);
        const known = new Set(roots);
        texts.forEach((text, index) => {
            const faults = layoutOf(text, known).faults.map(({ span: { start, end }, message, isLegal }) => [start, end, message, isLegal] as const);
            const sorted = [...faults].sort((a, b) => a[0] - b[0]);
            assert.deepEqual(sorted, JSON.parse(answers[index]!), text);
        });
    });

    it('leaves a text that is YAML, as long as it was', () => {
        for (const text of texts) {
            const { recipe: readable } = soundPart(recipe(text));
            assert.deepEqual(readable.errors, [], text);
            assert.equal(readable.text.length, text.length);
        }
    });
});
