// The inner VS Code server of test/vscode: started on a free loopback port, ended without leaving anything behind.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import path from 'node:path';
import { environment, node, root, vscodeServer } from './paths.mjs';
import { endGroup, launch, onExit } from './process.mjs';

/** Quiet and the same everywhere: no welcome page, no chat panel, no modal editors. */
export const userSettings = {
    'workbench.startupEditor': 'none',
    'chat.disableAIFeatures': true,
    'workbench.secondarySideBar.defaultVisibility': 'hidden',
    'workbench.editor.useModal': 'off',
    'workbench.reduceMotion': 'on',
    'workbench.tips.enabled': false,
    'extensions.ignoreRecommendations': true,
    'explorer.compactFolders': false,
    'git.openRepositoryInParentFolders': 'never',
};

/**
 * @typedef {object} ServerOptions
 * @property {string} [extension] folder of the extension under development; the repository when absent
 * @property {string} [extensionsFolder] installed extensions instead of one under development
 * @property {Record<string, unknown>} [settings] user settings on top of the usual ones
 * @property {boolean} [trust] false leaves workspace trust on, as a user has it
 * @property {NodeJS.ProcessEnv} [env] reaches the extension host and what it starts
 * @property {number} [port]
 * @property {boolean} [untilClosed] true: it waits for a page however long; otherwise it ends itself five minutes after the last one
 * @property {boolean} [driver] false: as a user has it. Otherwise an extension under development is accepted, the page has
 *     `driver`, and notifications do not pop up
 *
 * @typedef {object} Server
 * @property {number} port
 * @property {number} pid process group of server and extension hosts
 * @property {string} data its data folder; logs are in data/logs
 * @property {(folder: string, tests?: string) => string} url the workbench with a folder open, and a tests module to run in it; with the
 *     token, without which the server answers nobody: whoever reaches it has a terminal
 * @property {() => string} output what the server printed so far
 * @property {Promise<void>} ended
 * @property {() => Promise<void>} close
 */

/** A short path: Unix sockets are made in it. */
function temporaryFolder() {
    return mkdtempSync(path.join(process.platform === 'darwin' ? '/private/tmp' : '/tmp', 'qw-'));
}

/**
 * @param {string[]} args
 * @param {string} data
 * @param {NodeJS.ProcessEnv} [env]
 */
function serverMain(args, data, env = {}) {
    const main = path.join(vscodeServer, 'out', 'server-main.js');
    const inherited = environment({ ...env, TMPDIR: data });
    // Left by an outer VS Code terminal, they would make this one answer to that one.
    for (const name of Object.keys(inherited)) if (name.startsWith('VSCODE_') && !(name in env)) delete inherited[name];
    return launch(node, [main, '--accept-server-license-terms', '--telemetry-level', 'off', '--server-data-dir', data, ...args], {
        cwd: data, env: inherited, stdio: ['ignore', 'pipe', 'pipe'],
    });
}

/**
 * @param {import('node:child_process').ChildProcess} child
 */
function collectOutput(child) {
    const lines = { text: '' };
    const add = (/** @type {Buffer} */ chunk) => {
        lines.text = (lines.text + chunk.toString('utf8')).slice(-50_000);
    };
    child.stdout?.on('data', add);
    child.stderr?.on('data', add);
    return lines;
}

/**
 * Starts the server and waits until it listens.
 * @param {ServerOptions} [options]
 * @returns {Promise<Server>}
 */
export async function startServer({ extension = root, extensionsFolder, settings = {}, trust = true, env, port = 0, driver = true, untilClosed = false } = {}) {
    const data = temporaryFolder();
    const removeData = () => rmSync(data, { recursive: true, force: true, maxRetries: 3 });
    const forget = onExit(removeData);
    const user = path.join(data, 'data', 'User');
    mkdirSync(user, { recursive: true });
    writeFileSync(path.join(user, 'settings.json'), JSON.stringify({ ...userSettings, ...settings }, undefined, 4));
    // In a file that only this user can read: arguments are for everyone on the machine to see.
    const token = randomBytes(24).toString('hex');
    const tokenFile = path.join(data, 'token');
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const child = serverMain([
        '--host', '127.0.0.1', '--port', String(port), '--connection-token-file', tokenFile,
        '--reconnection-grace-time', '20',
        ...(untilClosed ? [] : ['--enable-remote-auto-shutdown']),
        ...(driver ? ['--enable-smoke-test-driver'] : []),
        ...(trust ? ['--disable-workspace-trust'] : []),
        ...(extensionsFolder ? ['--extensions-dir', extensionsFolder] : []),
    ], data, env);
    const output = collectOutput(child);
    /** @type {Promise<void>} */
    const ended = new Promise((resolve) => child.once('exit', () => resolve()));
    const close = async () => {
        await endGroup(child);
        forget();
        removeData();
    };
    try {
        const listening = await new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error(`VS Code's server did not start within 30 s.\n${output.text}`)), 30_000);
            const look = () => {
                const found = /Extension host agent listening on (\d+)/.exec(output.text);
                if (!found) return;
                clearTimeout(timer);
                resolve(Number(found[1]));
            };
            child.stdout?.on('data', look);
            child.once('error', reject);
            child.once('exit', (code) => {
                clearTimeout(timer);
                reject(new Error(`VS Code's server ended with code ${code}.\n${output.text}`));
            });
        });
        const authority = `127.0.0.1:${listening}`;
        return {
            port: listening, pid: child.pid ?? 0, data, ended, close, output: () => output.text,
            url: (folder, tests) => {
                /** @param {string} file */
                const remote = (file) => `vscode-remote://${authority}${encodeURI(file)}`;
                const payload = [
                    ...(extensionsFolder ? [] : [['extensionDevelopmentPath', remote(extension)]]),
                    ...(tests ? [['extensionTestsPath', remote(tests)]] : []),
                    ['skipWelcome', 'true'],
                ];
                return `http://${authority}/?tkn=${token}&folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
            },
        };
    } catch (error) {
        await close();
        throw error;
    }
}

/**
 * How the server answers at a URL: as a browser sees it, which keeps the token as a cookie and goes where it is sent.
 * @param {string} url
 * @param {string} [cookie]
 * @returns {Promise<number | undefined>} the status
 */
export function statusOf(url, cookie) {
    return new Promise((resolve, reject) => {
        get(url, { headers: cookie ? { cookie } : {} }, (response) => {
            response.resume();
            const { location, 'set-cookie': cookies } = response.headers;
            const kept = cookies?.map((one) => one.replace(/;.*/, '')).join('; ');
            if (!location || cookie) resolve(response.statusCode);
            else statusOf(new URL(location, url).href, kept).then(resolve, reject);
        }).once('error', reject);
    });
}

/**
 * The same URL without the token.
 * @param {string} url
 */
export function withoutToken(url) {
    const open = new URL(url);
    open.searchParams.delete('tkn');
    return open.href;
}

/**
 * Installs a VSIX into a folder for extensions.
 * @param {string} vsix
 * @param {string} extensionsFolder
 */
export async function installExtension(vsix, extensionsFolder) {
    const data = temporaryFolder();
    const forget = onExit(() => rmSync(data, { recursive: true, force: true }));
    const child = serverMain(['--extensions-dir', extensionsFolder, '--install-extension', vsix], data);
    const output = collectOutput(child);
    const timer = setTimeout(() => void endGroup(child), 60_000);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    clearTimeout(timer);
    await endGroup(child);
    forget();
    rmSync(data, { recursive: true, force: true });
    if (code !== 0) throw new Error(`Installing ${path.basename(vsix)} ended with code ${code}.\n${output.text}`);
    return output.text;
}
