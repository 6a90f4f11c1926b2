import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInflateRaw } from 'node:zlib';
import { installExtension, root, Workbench } from '../rig';

const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { name: string; version: string };
const titles = JSON.parse(readFileSync(path.join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;
const vsix = path.join(root, `${name}-${version}.vsix`);

/** The names in a zip file, from its central directory. */
function namesInZip(file: string): string[] {
    const bytes = readFileSync(file);
    const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    assert.ok(end >= 0, 'no zip file');
    const names: string[] = [];
    let offset = bytes.readUInt32LE(end + 16);
    for (let count = bytes.readUInt16LE(end + 10); count > 0; count -= 1) {
        assert.equal(bytes.readUInt32LE(offset), 0x02014b50);
        const length = bytes.readUInt16LE(offset + 28);
        names.push(bytes.toString('utf8', offset + 46, offset + 46 + length));
        offset += 46 + length + bytes.readUInt16LE(offset + 30) + bytes.readUInt16LE(offset + 32);
    }
    return names;
}

/** The text of a file in a zip file. */
async function contentInZip(file: string, name: string): Promise<string> {
    const bytes = readFileSync(file);
    const local = bytes.indexOf(Buffer.from(name)) - 30;
    assert.equal(bytes.readUInt32LE(local), 0x04034b50);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const chunks: Buffer[] = [];
    // Sizes may stand behind the data only; the end of a deflated stream tells itself.
    const inflate = createInflateRaw();
    inflate.on('data', (chunk: Buffer) => chunks.push(chunk));
    inflate.end(bytes.subarray(start));
    await once(inflate, 'end');
    return Buffer.concat(chunks).toString('utf8');
}

/** The files that a page of the repository links to. */
function linksIn(page: string): string[] {
    const text = readFileSync(path.join(root, page), 'utf8');
    return [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target]) => path.posix.normalize(path.posix.join(path.posix.dirname(page), target ?? '')));
}

describe('the package', () => {
    const names = namesInZip(vsix).filter((file) => file.startsWith('extension/')).map((file) => file.slice('extension/'.length));

    it('has nothing but what is named here', () => {
        const allowed = [
            /^package(\.nls)?\.json$/, /^(readme\.md|changelog\.md|license(\.txt|\.md)?)$/i,
            /^dist\/(extension|server)\.js$/, /^dist\/webview\/[\w-]+\.js$/, /^dist\/webview\/codicon\.(css|ttf)$/,
            /^engine\/(pyproject\.toml|constraints\.txt)$/, /^engine\/quant_engine\/([a-z_]+\/)*[a-z_0-9]+\.py$/,
            /^schemas\/\w+\.schema\.json$/, /^syntaxes\/[\w.-]+\.json$/, /^media\/[\w-]+\.(svg|png|md)$/, /^l10n\/[\w.-]+\.json$/, /^docs\/(decisions\/)?[\w-]+\.md$/, /^docs\/images\/panel-dark\.png$/,
        ];
        assert.deepEqual(names.filter((file) => !allowed.some((pattern) => pattern.test(file))), []);
    });

    it('has every part', () => {
        for (const part of [
            'package.json', 'package.nls.json', 'dist/extension.js', 'dist/server.js', 'dist/webview/sensitivity.js', 'dist/webview/codicon.css',
            'dist/webview/codicon.ttf', 'engine/pyproject.toml', 'engine/constraints.txt', 'engine/quant_engine/__main__.py', 'engine/quant_engine/cli.py',
            'engine/quant_engine/methods/gptq.py', 'schemas/recipe.schema.json', 'syntaxes/quant-recipe.tmLanguage.json', 'media/quant.svg',
        ]) assert.ok(names.includes(part), `${part} is missing`);
    });

    it('has every page that one of its pages links to', () => {
        const pages = names.filter((file) => /^docs\/.*\.md$/.test(file));
        const missing = pages.flatMap((page) => linksIn(page).filter((target) => !names.includes(target)).map((target) => `${page}: ${target}`));
        assert.deepEqual(missing, []);
        assert.ok(pages.flatMap(linksIn).length > 20);
    });

    it('shows a page about itself on which nothing is broken, because nothing on it is a file', async () => {
        const readme = await contentInZip(vsix, 'extension/readme.md');
        const targets = [...readme.matchAll(/\]\(([^)]*)\)/g)].map(([, target]) => target ?? '');
        assert.deepEqual(targets.filter((target) => !target.startsWith('https:')), []);
        assert.match(readme, /Quant: Show Documentation/);
    });

    it('is at most 8 MB', () => {
        const megabytes = readFileSync(vsix).length / 2 ** 20;
        assert.ok(megabytes <= 8, `${megabytes.toFixed(1)} MB`);
    });

    it('installs, and works as installed', async () => {
        const extensionsFolder = mkdtempSync('/tmp/qw-');
        try {
            await installExtension(vsix, extensionsFolder);
            const workbench = await Workbench.open({ extensionsFolder });
            try {
                await workbench.openFile('mixed.quant.yaml');
                await workbench.editor.waitForMode('Quant Recipe');
                await workbench.waitFor('a command of the extension', () => workbench.hasCommand(`Quant: ${titles['command.doctor']}`));
                await workbench.command(`Quant: ${titles['command.showDocumentation']}`);
                const page = await workbench.panels.with('a[href$="run-directory.md"]');
                await page.locator('a[href$="run-directory.md"]').first().click();
                await workbench.panels.with('h1:has-text("run directory")');
            } finally {
                await workbench.close();
            }
        } finally {
            rmSync(extensionsFolder, { recursive: true, force: true });
        }
    });
});
