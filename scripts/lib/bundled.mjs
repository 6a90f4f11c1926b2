import path from 'node:path';
import { root } from './paths.mjs';

/**
 * Bundles one TypeScript file that runs on Node.
 * @param {string} source relative to the repository
 * @param {string} name of the file in out/
 * @returns {Promise<string>} its path
 */
export async function bundled(source, name) {
    const { build } = await import('esbuild');
    const outfile = path.join(root, 'out', 'scripts', `${name}.mjs`);
    await build({
        absWorkingDir: root, entryPoints: [source], outfile, bundle: true, platform: 'node', target: 'node24', format: 'esm', sourcemap: 'inline', logLevel: 'warning',
        banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
    });
    return outfile;
}
