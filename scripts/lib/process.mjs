// Child processes that never outlive this one: each in a group of its own, ended as a group.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { windows } from './paths.mjs';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {Set<ChildProcess>} */
const children = new Set();
/** @type {Set<() => void>} */
const cleanups = new Set();

/**
 * Sends a signal to a child and everything it started.
 * @param {ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
export function signalGroup(child, signal) {
    if (child.pid === undefined) return;
    if (windows) {
        spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
        return;
    }
    try {
        process.kill(-child.pid, signal);
    } catch {
        // Gone already.
    }
}

/**
 * Ends a child and its group: TERM, and KILL when that was not enough after a while.
 * @param {ChildProcess} child
 * @param {number} [grace] milliseconds
 * @returns {Promise<void>}
 */
export async function endGroup(child, grace = 3000) {
    const running = child.exitCode === null && child.signalCode === null;
    signalGroup(child, 'SIGTERM');
    if (running) {
        /** @type {NodeJS.Timeout | undefined} */
        let timer;
        await new Promise((resolve) => {
            child.once('exit', resolve);
            timer = setTimeout(resolve, grace);
        });
        clearTimeout(timer);
    }
    signalGroup(child, 'SIGKILL');
    children.delete(child);
}

/**
 * Something to undo when this process ends early. Must be synchronous; call the result when it is no longer needed.
 * @param {() => void} cleanup
 */
export function onExit(cleanup) {
    cleanups.add(cleanup);
    return () => cleanups.delete(cleanup);
}

process.on('exit', () => {
    for (const child of children) signalGroup(child, 'SIGKILL');
    for (const cleanup of cleanups) {
        try {
            cleanup();
        } catch {
            // Nothing left to tell it to.
        }
    }
});
/**
 * What a signal does: children end first (they have things to clean up too), then this process. A second one does not wait.
 * @param {NodeJS.Signals} signal
 */
let answer = (signal) => {
    const code = 128 + (constants.signals[signal] ?? 0);
    answer = () => process.exit(code);
    void Promise.all([...children].map((child) => endGroup(child, 6000))).then(() => process.exit(code));
};
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => answer(signal));

/**
 * For a script that ends in its own way.
 * @param {(signal: NodeJS.Signals) => void} handler
 */
export function onSignal(handler) {
    answer = handler;
}

/**
 * Starts a child in a group of its own, to be ended with endGroup().
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export function launch(command, args, options = {}) {
    const child = spawn(command, args, { detached: !windows, windowsHide: true, ...options });
    children.add(child);
    child.once('exit', () => children.delete(child));
    child.once('error', () => children.delete(child));
    return child;
}

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string} [log] also write the output to this file (appended)
 * @property {number} [timeout] milliseconds; the group is ended when they are over
 * @property {boolean} [shell] needed for npm.cmd on Windows
 *
 * @typedef {object} RunResult
 * @property {number} code exit code; 127 when the command could not be started, 128 when a signal ended it
 * @property {string} output stdout and stderr together
 * @property {boolean} timedOut
 */

/**
 * Runs a command to its end and collects what it prints.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<RunResult>}
 */
export async function run(command, args, { cwd, env, log, timeout, shell } = {}) {
    const file = log === undefined ? undefined : openSync(log, 'a');
    if (file !== undefined) writeSync(file, `$ ${[command, ...args].join(' ')}\n`);
    const child = launch(command, args, { cwd, env, shell, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let timedOut = false;
    /** @param {string} text */
    const collect = (text) => {
        output += text;
        if (file !== undefined) writeSync(file, text);
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    const timer = timeout === undefined ? undefined : setTimeout(() => {
        timedOut = true;
        void endGroup(child, 6000);
    }, timeout);
    try {
        const code = await new Promise((resolve) => {
            child.once('error', (error) => {
                collect(`${error.message}\n`);
                resolve(127);
            });
            child.once('close', (status) => resolve(status ?? 128));
        });
        signalGroup(child, 'SIGKILL'); // Whatever it left behind.
        return { code, output, timedOut };
    } finally {
        clearTimeout(timer);
        if (file !== undefined) closeSync(file);
    }
}
