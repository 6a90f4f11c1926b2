import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { fileFact } from '../../../server/world';
import { Workspace } from '../../../server/workspace';
import { recipe, schema, whole } from './fixture';

describe('what the disk says of an output', () => {
    const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'quant-world-')));
    after(() => rmSync(folder, { recursive: true, force: true }));

    it('is nothing where folders can be made, however deep', async () => {
        assert.deepEqual(await fileFact(path.join(folder, 'a', 'b', 'c')), { kind: 'missing', realPath: path.join(folder, 'a', 'b', 'c'), dangling: false, blocked: undefined, text: undefined });
    });

    it('is the nearest thing above it that is there, when that is a file', async () => {
        writeFileSync(path.join(folder, 'file'), '');
        assert.deepEqual((await fileFact(path.join(folder, 'file', 'b', 'c'))).blocked, { parent: path.join(folder, 'file'), reason: 'is not a folder' });
    });

    it('is the folder in which this user may not write', async function () {
        if (process.platform === 'win32' || process.getuid?.() === 0) this.skip(); // Nothing is forbidden to root.
        mkdirSync(path.join(folder, 'closed'));
        chmodSync(path.join(folder, 'closed'), 0o555);
        assert.deepEqual((await fileFact(path.join(folder, 'closed', 'out'))).blocked, { parent: path.join(folder, 'closed'), reason: 'cannot be written' });
    });

    it('is looked at again when what stands in the way has gone', async () => {
        const obstacle = path.join(folder, 'obstacle');
        const uri = pathToFileURL(path.join(folder, 'a.quant.yaml')).href;
        const text = recipe(whole('  default: gptq-w4a16').replace('output: out', 'output: obstacle/out'));
        const workspace = new Workspace(schema.architectures, () => undefined);
        const look = async (): Promise<string | undefined> => {
            await workspace.refresh(uri, text);
            return workspace.factsFor(uri, text).files.get('obstacle/out')?.blocked?.reason;
        };
        assert.equal(await look(), undefined);
        writeFileSync(obstacle, '');
        assert.equal(await look(), 'is not a folder');
        rmSync(obstacle);
        assert.equal(await look(), undefined);
    });
});

describe('what the disk says of a file of texts', () => {
    const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'quant-texts-')));
    after(() => rmSync(folder, { recursive: true, force: true }));
    const look = async (name: string, content: string): ReturnType<typeof fileFact> => {
        writeFileSync(path.join(folder, name), content);
        return fileFact(path.join(folder, name));
    };

    it('is how many lines it has, the last one ended or not, and the fields of the first', async () => {
        const line = '{"text": "a b", "source": "x"}\n';
        const { lines, fields, text } = await look('a.jsonl', line.repeat(3));
        assert.deepEqual({ lines, fields, text }, { lines: { count: 3, isExact: true }, fields: ['text', 'source'], text: 'some' });
        assert.deepEqual((await look('b.jsonl', line.repeat(3).trimEnd())).lines, { count: 3, isExact: true });
        assert.deepEqual((await look('c.txt', '')).lines, { count: 0, isExact: true });
        assert.deepEqual((await look('d.txt', 'one line')).lines, { count: 1, isExact: true });
    });

    it('is counted beyond the part that is searched for text, and estimated where that would be long', async () => {
        const line = `${'x'.repeat(1023)}\n`;
        assert.deepEqual((await look('e.txt', line.repeat(3000))).lines, { count: 3000, isExact: true });
        assert.deepEqual((await look('f.txt', line.repeat(40 * 1024))).lines, { count: 40 * 1024, isExact: false });
    });
});
