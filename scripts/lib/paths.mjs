// Where things are. Works from scripts/ and from a bundle under out/ alike.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const windows = process.platform === 'win32';

/** The repository: the nearest folder upwards that holds both the manifest and the engine. */
function findRoot() {
    let folder = path.dirname(fileURLToPath(import.meta.url));
    while (!existsSync(path.join(folder, 'engine', 'pyproject.toml'))) {
        const parent = path.dirname(folder);
        if (parent === folder) throw new Error('This script does not lie inside the Quant Workbench repository.');
        folder = parent;
    }
    return folder;
}

export const root = findRoot();
export const setupFolder = path.join(root, '.setup');
export const binFolder = path.join(root, 'node_modules', '.bin');

/** The Node the project pins (a dev dependency); only there after the npm set-up. */
export const node = path.join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');

export const venv = path.join(root, '.venv');
export const venvPython = windows ? path.join(venv, 'Scripts', 'python.exe') : path.join(venv, 'bin', 'python');

export const vscodeFolder = path.join(root, 'test', 'vscode');
export const vscodeServer = path.join(vscodeFolder, 'node_modules', 'code-server', 'lib', 'vscode');

/**
 * The environment for children: the project's own Node and tools first.
 * @param {NodeJS.ProcessEnv} [extra]
 * @returns {NodeJS.ProcessEnv}
 */
export function environment(extra = {}) {
    return { ...process.env, PATH: [binFolder, process.env.PATH ?? ''].join(path.delimiter), ...extra };
}

/**
 * PATH without this project's node_modules/.bin: what runs `npm ci` must not live in the folder that it replaces.
 * @returns {NodeJS.ProcessEnv}
 */
export function outerEnvironment() {
    const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => path.resolve(folder) !== binFolder);
    return { ...process.env, PATH: folders.join(path.delimiter) };
}

/**
 * The script file behind a command in node_modules, to start it with the project's own Node.
 * @param {string} name package
 * @param {string} file path inside the package
 */
export function packageFile(name, file) {
    return path.join(root, 'node_modules', name, file);
}
