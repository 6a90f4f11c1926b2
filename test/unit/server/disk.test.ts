import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, venvPython } from '../../../scripts/lib/paths.mjs';
import { RUNS, type DiskFact } from '../../../server/facts';
import { validate } from '../../../server/validate';
import { Workspace } from '../../../server/workspace';
import { recipe as parse, schema } from './fixture';

const folder = path.resolve('test/corpus');
const files = readdirSync(folder).filter((file) => file.endsWith('.quant.yaml')).sort();

/** What the engine says of each recipe on a disk with a kilobyte left. */
const ENGINE = `
import json, sys
from pathlib import Path
from quant_engine.check import check
for file in json.load(sys.stdin):
    found = check(Path(file), free=lambda path: 1000).diagnostics
    print(json.dumps([[one.code for one in found if one.code == "yaml-syntax"], [one.message for one in found if one.code == "disk-space"]]))
`;

describe('the room that a run needs', function () {
    this.timeout(120_000);

    it('is estimated alike by the editor and the engine, for every recipe of the corpus', async () => {
        const env = { ...process.env, PYTHONPATH: path.join(root, 'engine') };
        const { stdout, stderr, status } = spawnSync(venvPython, ['-c', ENGINE], { input: JSON.stringify(files.map((file) => path.join(folder, file))), env, encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        const answers = stdout.trim().split('\n').map((line) => JSON.parse(line) as [string[], string[]]);
        let told = 0;
        for (const [index, file] of files.entries()) {
            const [syntax, expected] = answers[index]!;
            if (syntax.length > 0) continue;
            const uri = pathToFileURL(path.join(folder, file)).href;
            const recipe = parse(readFileSync(path.join(folder, file), 'utf8').replace(/^\uFEFF/, ''));
            const workspace = new Workspace(schema.architectures, () => undefined);
            await workspace.refresh(uri, recipe);
            const facts = workspace.factsFor(uri, recipe);
            const small: DiskFact = { device: '1', free: 1000 };
            const disks = new Map([...(facts.disks?.keys() ?? []), RUNS].map((name) => [name, small]));
            const found = validate(recipe, { ...facts, disks }).filter(({ code }) => code === 'disk-space').map(({ message }) => message);
            assert.deepEqual(found, expected, file);
            told += expected.length;
        }
        assert.ok(told > 60, `${told} recipes would write something`);
    });
});
