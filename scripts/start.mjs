// `npm start`: sets everything up and runs the bundled sample recipe from end to end.
//   npm start [-- RECIPE]
import { existsSync } from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { root, venvPython } from './lib/paths.mjs';
import { onSignal } from './lib/process.mjs';
import { setUpOrExit } from './setup.mjs';

const recipe = process.argv[2] ?? path.join('samples', 'mixed.quant.yaml');

/** The first name under samples/output that is not taken. */
function freeOutput() {
    const name = path.basename(recipe).replace(/\.quant\.ya?ml$/, '');
    for (let number = 1; ; number += 1) {
        const folder = path.join('samples', 'output', number === 1 ? name : `${name}-${number}`);
        if (!existsSync(path.join(root, folder))) return folder;
    }
}

/**
 * The engine on this terminal: it draws its own progress and tables. Ctrl+C reaches it directly, so this process waits for it.
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function engine(args) {
    const child = spawn(venvPython, ['-m', 'quant_engine', ...args], { cwd: root, stdio: 'inherit' });
    onSignal((signal) => {
        if (signal !== 'SIGINT') child.kill(signal);
    });
    return new Promise((resolve) => {
        child.once('error', (error) => {
            console.error(`The engine could not be started with ${venvPython}: ${error.message}`);
            resolve(1);
        });
        child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
    });
}

await setUpOrExit('npm', 'python');
const args = ['run', recipe, '--output', freeOutput()];
console.log(`\nquant-engine ${args.join(' ')}\n`);
const code = await engine(args);
console.log(code === 0
    ? '\nOpen it in the editor: npm run code'
    : `\nThe engine ended with exit code ${code}${code === 130 ? ' (cancelled)' : ''}.`);
process.exit(code);
