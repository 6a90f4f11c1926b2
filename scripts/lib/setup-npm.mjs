// Step 1: the npm packages, exactly as locked.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { node, outerEnvironment, root, windows } from './paths.mjs';
import { command, logFile, SetupError, stamp, step } from './steps.mjs';

/**
 * Are the locked packages there, whoever installed them? npm keeps the list of what it installed.
 * @param {string} lock
 */
function installed(lock) {
    const list = path.join(root, 'node_modules', '.package-lock.json');
    if (!existsSync(list) || !existsSync(node)) return false;
    const have = JSON.parse(readFileSync(list, 'utf8')).packages;
    const want = Object.entries(JSON.parse(lock).packages);
    return want.every(([name, entry]) => name === '' || entry.optional || have[name]?.version === entry.version);
}

/**
 * `npm ci`, with the npm and the Node outside of node_modules, which it deletes.
 * @param {string[]} args
 * @param {string} cwd
 * @param {string} log
 * @param {NodeJS.ProcessEnv} env
 */
export function npm(args, cwd, log, env) {
    const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--no-progress'];
    return command(`npm ${args[0]}`, windows ? 'npm.cmd' : 'npm', [...args, ...quiet], { cwd, env, log, shell: windows });
}

export async function setUpNpm() {
    const [major] = process.versions.node.split('.').map(Number);
    if ((major ?? 0) < 20) {
        throw new SetupError(`Node 20 or newer is needed; this is ${process.version}.`, {
            attempted: process.execPath, advice: 'Install a current Node and run the same command again.',
        });
    }
    const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
    const done = stamp('npm', lock, process.platform, process.arch);
    if (done.fresh() && existsSync(node)) return;
    if (!installed(lock)) {
        await step('npm packages', async () => {
            await npm(['ci'], root, logFile('npm'), outerEnvironment());
            if (!existsSync(node)) {
                throw new SetupError('npm ci did not bring the pinned Node.', {
                    attempted: 'npm ci',
                    advice: 'It comes through an install script: allow them (npm config delete ignore-scripts) and run the same command again.',
                });
            }
        });
    }
    done.write();
}
