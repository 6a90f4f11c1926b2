// The suites of `npm test`: what each runs, how long it may take, what it needs.
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { environment, node, packageFile, root, venvPython } from './paths.mjs';
import { run } from './process.mjs';
import { checkResult, mochaResult, pytestResult } from './results.mjs';

/**
 * @typedef {import('./results.mjs').Result} Result
 * @typedef {'build' | 'tests' | 'vscode'} Need
 *
 * @typedef {object} Suite
 * @property {string} name what `--only` takes
 * @property {string} title
 * @property {'static' | 'engine' | 'editor'} lane suites of a lane run one after the other; `editor` runs after the others, alone
 * @property {Need[]} needs
 * @property {(title: string) => Promise<Result>} run
 */

const minute = 60_000;

/** @param {string} name */
function report(name) {
    const folder = path.join(root, 'out', 'results');
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, name);
    rmSync(file, { force: true });
    return file;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {number} minutes
 * @param {NodeJS.ProcessEnv} [extra]
 * @param {string} [cwd]
 */
function tool(command, args, minutes, extra = {}, cwd = root) {
    return run(command, args, { cwd, env: environment({ NO_COLOR: '1', FORCE_COLOR: undefined, ...extra }), timeout: minutes * minute });
}

/**
 * @param {string[]} args
 * @param {number} [minutes]
 */
const check = (args, minutes = 15) => async (/** @type {string} */ title) => checkResult(title, await tool(node, args, minutes));

/** @param {string[]} args */
const python = (args) => async (/** @type {string} */ title) => checkResult(title, await tool(venvPython, args, 15));

/**
 * @param {string} group folder under test/ and out/
 * @param {number} minutes for the suite
 * @param {number} seconds for one test
 */
const mocha = (group, minutes, seconds) => async (/** @type {string} */ title) => {
    const file = report(`${group}.json`);
    const result = await tool(node, [
        packageFile('mocha', 'bin/mocha.js'), `out/${group}/**/*.test.mjs`, '--timeout', String(seconds * 1000), '--forbid-only',
        '--reporter', 'json', '--reporter-option', `output=${file}`,
    ], minutes, { NODE_OPTIONS: '--enable-source-maps' });
    return mochaResult(title, file, result);
};

/** @param {string} title */
async function pytest(title) {
    const file = report('engine.xml');
    // One thread in each of the two workers: more only take the cores from each other. A file stays with one worker, so that its fixtures are made once.
    const threads = { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
    const result = await tool(venvPython, ['-m', 'pytest', 'tests', '-n', '2', '--dist', 'loadfile', `--junitxml=${file}`], 70, threads, path.join(root, 'engine'));
    return pytestResult(title, file, result);
}

/** @param {string} title */
async function extensionHost(title) {
    const file = report('integration.json');
    const result = await tool(node, ['--enable-source-maps', 'out/rig/extension-host.mjs'], 20, { QUANT_TEST_RESULTS: file, QUANT_TEST_TIMEOUT: String(18 * minute) });
    return mochaResult(title, file, result);
}

/** @param {string} title */
async function packaged(title) {
    const made = await tool(node, ['scripts/package.mjs'], 10);
    return made.code === 0 ? mocha('package', 10, 240)(title) : checkResult(title, made);
}

/** @type {Suite[]} */
export const suites = [
    { name: 'tsc', title: 'TypeScript, strict', lane: 'static', needs: [], run: check([packageFile('typescript', 'bin/tsc'), '--noEmit', '-p', '.', '--incremental', '--tsBuildInfoFile', 'out/tsc.tsbuildinfo']) },
    { name: 'eslint', title: 'eslint, type-aware', lane: 'static', needs: [], run: check([packageFile('eslint', 'bin/eslint.js'), '.']) },
    { name: 'ruff', title: 'ruff', lane: 'static', needs: [], run: python(['-m', 'ruff', 'check', '--output-format', 'concise', 'engine', 'scripts']) },
    { name: 'pyright', title: 'pyright', lane: 'static', needs: [], run: check([packageFile('pyright', 'index.js'), '-p', 'engine']) },
    { name: 'schema', title: 'the schemas are those of the engine', lane: 'static', needs: [], run: python(['-m', 'quant_engine', 'schema', '--out', 'schemas', '--check']) },
    { name: 'types', title: 'the types are those of the schemas', lane: 'static', needs: [], run: check(['scripts/types.mjs', '--check']) },
    { name: 'unit', title: 'units (mocha)', lane: 'static', needs: ['tests'], run: mocha('unit', 12, 40) },
    { name: 'engine', title: 'engine (pytest)', lane: 'engine', needs: [], run: pytest },
    { name: 'lsp', title: 'language server over stdio (mocha)', lane: 'editor', needs: ['build', 'tests'], run: mocha('lsp', 10, 60) },
    { name: 'extension', title: 'extension inside VS Code', lane: 'editor', needs: ['build', 'tests', 'vscode'], run: extensionHost },
    { name: 'workbench', title: 'workbench through Chromium', lane: 'editor', needs: ['build', 'tests', 'vscode'], run: mocha('e2e', 30, 300) },
    { name: 'package', title: 'package (VSIX)', lane: 'editor', needs: ['build', 'tests', 'vscode'], run: packaged },
];
