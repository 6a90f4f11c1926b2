// Set-up in steps: one line each with its time, a log file, and an error that says what to do.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { root, setupFolder } from './paths.mjs';
import { onExit, run } from './process.mjs';

/** A set-up step that cannot be done. `message` is one sentence; `advice` is what the user can do. */
export class SetupError extends Error {
    /**
     * @param {string} message
     * @param {{ attempted?: string, advice?: string, log?: string }} [details]
     */
    constructor(message, { attempted, advice, log } = {}) {
        super(message);
        this.name = 'SetupError';
        this.attempted = attempted;
        this.advice = advice;
        this.log = log;
    }
}

/** What a tool prints when something outside the project is wrong, and what helps. */
const causes = [
    { sign: /ENOSPC|No space left on device/i, cause: 'The disk is full.', advice: 'Free some space (the Python packages need about 2 GB, with CUDA about 8 GB) and run the same command again.' },
    { sign: /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|name resolution|Failed to establish a new connection|ConnectionError|NewConnectionError|ProxyError|Max retries exceeded/i, cause: 'The package registry cannot be reached.', advice: 'Check the network, the proxy variables and the registry settings of npm and pip, then run the same command again.' },
    { sign: /No matching distribution found|Could not find a version/i, cause: 'A pinned package has no build for this Python or platform.', advice: 'Use Python 3.11, 3.12 or 3.13 (set QUANT_PYTHON to it), delete .venv and run the same command again.' },
    { sign: /EACCES|Permission denied|EPERM/i, cause: 'A file may not be written.', advice: 'Look who owns the folder named in the log; do not run this with sudo.' },
    { sign: /EINTEGRITY|does not match|hashes? (are|is) required/i, cause: 'A downloaded package is not the one that was pinned.', advice: 'Clear the cache (npm cache clean --force, pip cache purge) and try again; if it stays, the registry delivers something else.' },
];

/**
 * Runs a command of a step; its output goes to the step's log.
 * @param {string} what for the error: "Installing the npm packages"
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, log: string, shell?: boolean, timeout?: number }} options
 */
export async function command(what, command, args, options) {
    const result = await run(command, args, { timeout: 30 * 60_000, ...options });
    if (result.code === 0) return result.output;
    const known = result.timedOut ? undefined : causes.find(({ sign }) => sign.test(result.output));
    const reason = result.timedOut ? 'it took longer than 30 minutes' : result.code === 127 ? 'the command could not be started' : `exit code ${result.code}`;
    throw new SetupError(`${what} failed: ${known?.cause ?? `${reason}.`}`, {
        attempted: [command, ...args].join(' '),
        advice: known?.advice ?? 'Read the log below, put right what it names, and run the same command again.',
        log: options.log,
    });
}

/**
 * A fresh log file for a step.
 * @param {string} name
 */
export function logFile(name) {
    mkdirSync(setupFolder, { recursive: true });
    const file = path.join(setupFolder, `${name}.log`);
    writeFileSync(file, '');
    return file;
}

/**
 * One step on the terminal: a line that counts while it runs (on a terminal), then the time it took.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
    const started = Date.now();
    const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
    const live = process.stdout.isTTY;
    let said = false;
    let ended = false;
    const ticker = (async () => {
        for (;;) {
            await delay(live ? 500 : 3000, undefined, { ref: false });
            if (ended) return;
            if (live) process.stdout.write(`\r  … ${title}  ${seconds()} `);
            else if (!said) console.log(`  … ${title}`);
            said = true;
        }
    })();
    try {
        const value = await work();
        ended = true;
        console.log(`${live ? '\r' : ''}  ✓ ${title}  ${seconds()}   `);
        return value;
    } catch (error) {
        ended = true;
        console.log(`${live ? '\r' : ''}  ✗ ${title}  ${seconds()}   `);
        throw error;
    } finally {
        void ticker;
    }
}

/**
 * Prints an error of the set-up: what, with which command, the end of the log, what to do.
 * @param {unknown} error
 */
export function printSetupError(error) {
    if (!(error instanceof SetupError)) {
        const known = causes.find(({ sign }) => sign.test(String(error)));
        if (known) console.error(`\n${known.cause} (${String(error)})\n  What to do: ${known.advice}`);
        else console.error(error);
        return;
    }
    console.error(`\n${error.message}`);
    if (error.attempted) console.error(`  Attempted: ${error.attempted}`);
    if (error.log && existsSync(error.log)) {
        const lines = readFileSync(error.log, 'utf8').trimEnd().split('\n').slice(-15);
        console.error(`  Log: ${path.relative(root, error.log)}, its last lines:`);
        for (const line of lines) console.error(`    ${line}`);
    }
    if (error.advice) console.error(`  What to do: ${error.advice}`);
}

/**
 * A stamp says what a step was last done with; it is fresh while that is the same.
 * @param {string} name
 * @param {(string | Buffer)[]} ingredients
 */
export function stamp(name, ...ingredients) {
    const hash = createHash('sha256');
    for (const part of ingredients) hash.update(part).update('\0');
    const wanted = hash.digest('hex');
    const file = path.join(setupFolder, `${name}.stamp`);
    return {
        fresh: () => existsSync(file) && readFileSync(file, 'utf8').trim() === wanted,
        write: () => {
            mkdirSync(setupFolder, { recursive: true });
            writeFileSync(file, `${wanted}\n`);
        },
        remove: () => rmSync(file, { force: true }),
    };
}

/**
 * Two set-ups in one folder wait for each other.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function exclusively(name, work) {
    mkdirSync(setupFolder, { recursive: true });
    const file = path.join(setupFolder, `${name}.lock`);
    for (let told = false; ; ) {
        try {
            writeFileSync(file, String(process.pid), { flag: 'wx' });
            break;
        } catch (error) {
            if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
        }
        const owner = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
        if (owner > 0 && !isAlive(owner)) {
            rmSync(file, { force: true });
            continue;
        }
        if (!told && owner > 0) console.log(`  … waiting for another set-up of this folder (process ${owner})`);
        told = told || owner > 0;
        await delay(200);
    }
    const forget = onExit(() => rmSync(file, { force: true }));
    try {
        return await work();
    } finally {
        forget();
        rmSync(file, { force: true });
    }
}

/** @param {number} pid */
function isAlive(pid) {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
    }
}
