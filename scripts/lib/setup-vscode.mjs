// Step 3, for the tests and `npm run code` only: a complete VS Code from the npm package code-server.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { environment, node, vscodeFolder, vscodeServer, windows } from './paths.mjs';
import { onExit } from './process.mjs';
import { npm } from './setup-npm.mjs';
import { logFile, SetupError, stamp, step } from './steps.mjs';

const native = ['@vscode/spdlog', '@vscode/native-watchdog'];

/** @param {string} name */
function onPath(name) {
    return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * Builds the two native parts of VS Code that come without a binary. In a folder of its own: node-gyp fails in a path
 * with a space. The headers come from the npm registry, so that nothing else has to be reachable.
 * @param {string} version of Node
 * @param {string} log
 */
async function buildNative(version, log) {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-native-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    const forget = onExit(remove);
    try {
        const locked = JSON.parse(readFileSync(path.join(vscodeServer, 'npm-shrinkwrap.json'), 'utf8')).packages;
        const dependencies = Object.fromEntries(native.map((name) => [name, locked[`node_modules/${name}`].version]));
        const headers = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
        dependencies[headers] = version;
        writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
        await npm(['install', '--ignore-scripts', '--no-package-lock'], folder, log, environment());
        const nodedir = path.join(folder, 'node_modules', headers);
        await npm(['rebuild', ...native], folder, log, environment({ npm_config_nodedir: nodedir }));
        for (const name of native) {
            const built = path.join('node_modules', name, 'build', 'Release');
            cpSync(path.join(folder, built), path.join(vscodeServer, built), { recursive: true });
        }
    } finally {
        forget();
        remove();
    }
}

export async function setUpVSCode() {
    if (windows) {
        throw new SetupError('The VS Code of the npm package code-server does not run on Windows.', {
            advice: 'Use `npm run test:desktop`, or work in WSL.',
        });
    }
    const lock = readFileSync(path.join(vscodeFolder, 'package-lock.json'));
    const version = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();
    const ingredients = [lock, version, process.platform, process.arch];
    const done = stamp('vscode', ...ingredients);
    const log = () => logFile('vscode');
    if (!done.fresh() || !existsSync(path.join(vscodeServer, 'node_modules'))) {
        done.remove();
        await step('VS Code for the tests and `npm run code`', async () => {
            const file = log();
            await npm(['ci', '--ignore-scripts'], vscodeFolder, file, environment());
            await npm(['install', '--omit=dev', '--ignore-scripts'], vscodeServer, file, environment());
            await npm(['install', '--omit=dev', '--ignore-scripts'], path.join(vscodeServer, 'extensions'), file, environment());
        });
        done.write();
    }
    const complete = stamp('vscode-native', ...ingredients);
    const binary = path.join(vscodeServer, 'node_modules', '@vscode', 'spdlog', 'build', 'Release');
    if (complete.fresh() && existsSync(binary)) return;
    if (!['c++', 'make', 'python3'].every(onPath)) {
        console.log('  ! VS Code runs without its log writer: building it needs g++, make and python3 (apt install g++ make python3).');
        return;
    }
    await step('VS Code\'s native parts', () => buildNative(version, logFile('vscode-native')));
    complete.write();
}
