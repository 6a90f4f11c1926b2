// Everything the repository needs, installed once: `npm run setup`, and the first thing that the other scripts do.
//   node scripts/setup.mjs [--vscode]     with --vscode also what the tests and `npm run code` need
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { exclusively, printSetupError } from './lib/steps.mjs';
import { setUpChromium } from './lib/setup-chromium.mjs';
import { setUpNpm } from './lib/setup-npm.mjs';
import { setUpPython } from './lib/setup-python.mjs';
import { setUpVSCode } from './lib/setup-vscode.mjs';

/** @typedef {'npm' | 'python' | 'vscode' | 'chromium'} Part */

/** @type {Record<Part, () => Promise<unknown>>} */
const parts = { npm: setUpNpm, python: setUpPython, vscode: setUpVSCode, chromium: setUpChromium };

/**
 * Installs what is missing or stale of these parts; quick when nothing is.
 * @param {...Part} wanted
 */
export async function setUp(...wanted) {
    for (const part of wanted) await exclusively(part, parts[part]);
}

/**
 * The same for a script: an error is printed and ends the process with 1.
 * @param {...Part} wanted
 */
export async function setUpOrExit(...wanted) {
    const started = Date.now();
    console.log('Set-up');
    try {
        await setUp(...wanted);
    } catch (error) {
        printSetupError(error);
        process.exit(1);
    }
    console.log(`  ✓ ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
    if (process.argv.includes('--vscode')) await setUpOrExit('npm', 'python', 'vscode', 'chromium');
    else await setUpOrExit('npm', 'python');
}
