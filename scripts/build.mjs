// Bundles the extension, the language server and the panels into dist/, or the tests into out/.
//   node scripts/build.mjs [--production] [--watch]
//   node scripts/build.mjs --tests
// --production: minified, without source maps, as it goes into the package.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './lib/paths.mjs';

/** @typedef {import('esbuild').BuildOptions} BuildOptions */

const dist = path.join(root, 'dist');
const out = path.join(root, 'out');

/** Files below a folder of the repository, `/` between the names, by how they end. */
const files = (/** @type {string} */ folder, /** @type {string} */ ending) => {
    const whole = path.join(root, folder);
    if (!existsSync(whole)) return [];
    return readdirSync(whole, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith(ending))
        .map((file) => path.join(whole, file))
        .sort();
};

/**
 * @param {boolean} production
 * @returns {BuildOptions[]}
 */
function product(production) {
    /** @type {BuildOptions} */
    const common = {
        absWorkingDir: root, bundle: true, minify: production, sourcemap: production ? false : 'linked', legalComments: 'none', logLevel: 'warning',
    };
    /** @type {BuildOptions} */
    const onNode = { ...common, platform: 'node', target: 'node20', format: 'cjs', mainFields: ['module', 'main'] };
    const panels = readdirSync(path.join(root, 'webview'), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== 'shared')
        .map((entry) => ({ in: path.join(root, 'webview', entry.name, 'main.ts'), out: entry.name }));
    return [
        { ...onNode, entryPoints: [{ in: 'src/extension.ts', out: 'extension' }], outdir: dist, external: ['vscode'] },
        { ...onNode, entryPoints: [{ in: 'server/main.ts', out: 'server' }], outdir: dist },
        {
            ...common, entryPoints: panels, outdir: path.join(dist, 'webview'), platform: 'browser', target: 'es2022', format: 'iife',
            minify: true, define: { 'process.env.NODE_ENV': '"production"' },
        },
    ];
}

/** What a test bundle leaves to be loaded from node_modules. */
const external = ['vscode', 'mocha', 'playwright-core', 'playwright-core/*', 'esbuild', 'typescript', '@vscode/test-electron'];

/** The groups of tests; those for plain Node are modules that share their helpers, the one inside VS Code is CommonJS. */
export const testGroups = ['unit', 'lsp', 'e2e', 'package', 'rig'];

/** @returns {BuildOptions[]} */
function tests() {
    /** @type {BuildOptions} */
    const common = { absWorkingDir: root, bundle: true, platform: 'node', target: 'node24', sourcemap: 'inline', logLevel: 'warning', external, metafile: true };
    /** @type {BuildOptions[]} */
    const builds = testGroups.flatMap((group) => {
        const entryPoints = group === 'rig' ? ['index.ts', 'extension-host.ts'].map((file) => path.join(root, 'test', 'rig', file)) : files(`test/${group}`, '.test.ts');
        if (entryPoints.length === 0) return [];
        return [{
            ...common, entryPoints, outbase: path.join(root, 'test', group), outdir: path.join(out, group), format: 'esm', splitting: true,
            outExtension: { '.js': '.mjs' },
            banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
        }];
    });
    builds.push({
        ...common, entryPoints: [path.join(root, 'test', 'integration', 'index.ts'), ...files('test/integration', '.test.ts')],
        outbase: path.join(root, 'test', 'integration'), outdir: path.join(out, 'integration'), format: 'cjs',
        define: { 'import.meta.url': '__moduleUrl' }, banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    });
    return builds;
}

/** The icons of the panels: a style sheet and its font, as files that a strict content policy lets through. */
function copyIcons() {
    const source = path.join(root, 'node_modules', '@vscode', 'codicons', 'dist');
    mkdirSync(path.join(dist, 'webview'), { recursive: true });
    for (const file of ['codicon.css', 'codicon.ttf']) copyFileSync(path.join(source, file), path.join(dist, 'webview', file));
}

/**
 * A test that was deleted or renamed must not run on from an old bundle.
 * @param {import('esbuild').BuildResult} result
 * @param {BuildOptions} options
 */
function removeStale(result, options) {
    const written = new Set(Object.keys(result.metafile?.outputs ?? {}).map((file) => path.resolve(root, file)));
    for (const ending of ['.mjs', '.js']) {
        for (const file of files(path.relative(root, options.outdir ?? out), ending)) if (!written.has(file)) rmSync(file);
    }
}

/** @param {{ production?: boolean }} [options] */
export async function build({ production = false } = {}) {
    const esbuild = await import('esbuild');
    if (production) for (const map of files('dist', '.map')) rmSync(map);
    await Promise.all(product(production).map((options) => esbuild.build(options)));
    copyIcons();
}

export async function buildTests() {
    const esbuild = await import('esbuild');
    await Promise.all(tests().map(async (options) => removeStale(await esbuild.build(options), options)));
}

async function watch() {
    const esbuild = await import('esbuild');
    copyIcons();
    for (const options of product(false)) {
        const context = await esbuild.context({ ...options, logLevel: 'info' });
        await context.watch();
    }
    console.log('Watching. Reload the window of VS Code after a change (Developer: Reload Window).');
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
    try {
        if (process.argv.includes('--watch')) await watch();
        else if (process.argv.includes('--tests')) await buildTests();
        else await build({ production: process.argv.includes('--production') });
    } catch (error) {
        // esbuild has printed its own errors; anything else is shown in full.
        if (!(error instanceof Error && 'errors' in error)) console.error(error);
        process.exitCode = 1;
    }
}
