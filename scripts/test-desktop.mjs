// `npm run test:desktop`: test/integration inside a desktop VS Code, which @vscode/test-electron downloads.
//   npm run test:desktop [-- --code PATH]      PATH: an installed VS Code to use instead of a download
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { node, root } from './lib/paths.mjs';
import { onExit, run } from './lib/process.mjs';
import { mochaResult } from './lib/results.mjs';
import { setUpOrExit } from './setup.mjs';

const { values } = parseArgs({ options: { code: { type: 'string' } } });
await setUpOrExit('npm', 'python');
for (const args of [[], ['--tests']]) {
    const built = await run(node, ['scripts/build.mjs', ...args], { cwd: root });
    if (built.code !== 0) {
        console.error(built.output);
        process.exit(1);
    }
}
const { downloadAndUnzipVSCode, runTests } = await import('@vscode/test-electron');
let vscodeExecutablePath = values.code;
try {
    vscodeExecutablePath ??= await downloadAndUnzipVSCode({ version: 'stable', cachePath: path.join(root, '.vscode-test') });
} catch (error) {
    console.error(`\nNo desktop VS Code could be downloaded: ${error instanceof Error ? error.message : String(error)}
This suite needs the vendor's download server. Where it cannot be reached, name an installed editor
(npm run test:desktop -- --code /path/to/code), or run the same suite in the browser workbench: npm test -- --only extension`);
    process.exit(1);
}
const folder = mkdtempSync(path.join(process.platform === 'darwin' ? '/tmp' : tmpdir(), 'qw-'));
onExit(() => rmSync(folder, { recursive: true, force: true }));
const results = path.join(folder, 'results.json');
let code = 1;
let output = '';
try {
    code = await runTests({
        vscodeExecutablePath,
        extensionDevelopmentPath: root,
        extensionTestsPath: path.join(root, 'out', 'integration', 'index.js'),
        extensionTestsEnv: { QUANT_TEST_RESULTS: results },
        launchArgs: [path.join(root, 'samples'), '--disable-extensions', '--disable-workspace-trust', '--user-data-dir', path.join(folder, 'user')],
    });
} catch (error) {
    output = String(error);
}
const result = mochaResult('extension inside desktop VS Code', results, { code, output, timedOut: false });
for (const { title, text } of result.failures) console.log(`\n✗ ${title}\n${text.replace(/^/gm, '    ')}`);
console.log(`${result.passed} passed, ${result.failed} failed`);
process.exit(result.failed === 0 ? 0 : 1);
