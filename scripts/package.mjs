// `npm run package`: quant-workbench-<version>.vsix from a production build.
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { environment, node, packageFile, root } from './lib/paths.mjs';
import { run } from './lib/process.mjs';
import { setUpOrExit } from './setup.mjs';

await setUpOrExit('npm');
const { build } = await import('./build.mjs');
await build({ production: true });

const { name, version, repository } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const file = `${name}-${version}.vsix`;
const args = ['package', '--no-dependencies', '--out', file, ...(repository ? [] : ['--allow-missing-repository'])];
const result = await run(node, [packageFile('@vscode/vsce', 'vsce'), ...args], { cwd: root, env: environment({ NO_COLOR: '1' }), timeout: 120_000 });
console.log(result.output.trimEnd());
if (result.code !== 0 || !existsSync(path.join(root, file))) process.exit(1);
console.log(`${file}: ${(statSync(path.join(root, file)).size / 2 ** 20).toFixed(2)} MB`);
