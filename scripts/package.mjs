// `npm run package`: quant-workbench-<version>.vsix from a production build.
import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { environment, node, packageFile, root } from './lib/paths.mjs';
import { onExit, run } from './lib/process.mjs';
import { readmeOfPackage } from './lib/readme.mjs';
import { setUpOrExit } from './setup.mjs';

await setUpOrExit('npm');
const { build } = await import('./build.mjs');
await build({ production: true });

/**
 * A copy of what the package is made from. vsce asks .vscodeignore about every file below the folder, and beside
 * .venv and the VS Code of the tests (60,000 files) that takes a quarter of a minute.
 */
function stage() {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    onExit(() => rmSync(folder, { recursive: true, force: true }));
    for (const part of ['dist', 'docs', 'engine', 'schemas', 'syntaxes', 'media', 'l10n']) {
        const source = path.join(root, part);
        if (existsSync(source)) cpSync(source, path.join(folder, part), { recursive: true, filter: (file) => !file.endsWith('.egg-info') });
    }
    for (const entry of readdirSync(root, { withFileTypes: true })) {
        if (entry.isFile() && !entry.name.endsWith('.vsix')) copyFileSync(path.join(root, entry.name), path.join(folder, entry.name));
    }
    writeFileSync(path.join(folder, 'README.md'), readmeOfPackage(readFileSync(path.join(root, 'README.md'), 'utf8')));
    return folder;
}

const { name, version, repository } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const file = path.join(root, `${name}-${version}.vsix`);
// Without a public repository there is no address that relative links could be rewritten to; the README that is packaged has none.
const local = repository ? [] : ['--allow-missing-repository', '--no-rewrite-relative-links'];
const args = ['package', '--no-dependencies', '--out', file, ...local];
const result = await run(node, [packageFile('@vscode/vsce', 'vsce'), ...args], { cwd: stage(), env: environment({ NO_COLOR: '1' }), timeout: 120_000 });
console.log(result.output.trimEnd());
if (result.code !== 0 || !existsSync(file)) process.exit(1);
console.log(`${path.basename(file)}: ${(statSync(file).size / 2 ** 20).toFixed(2)} MB`);
process.exit(0);
