import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { RUN_FILES } from '../../protocol/runs';
import type { Clock } from '../base/clock';
import { runId, runsFolder } from './naming';

/** How to start the engine with some arguments. */
export type EngineCommand = (...args: string[]) => Promise<{
    readonly file: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string | undefined>>;
}>;

export interface Launched {
    readonly directory: string;
    readonly pid: number | undefined;
    /** Where this process' own words begin in the log. */
    readonly logStart: number;
    readonly ended: Promise<LaunchEnd>;
}

export interface LaunchEnd {
    readonly exitCode: number | undefined;
    /** Why there is no process, when it could not even be started. */
    readonly failure: string | undefined;
}

/** What a process does with a recipe: all of it, or only measure its candidates. */
export type RunAction = 'run' | 'sensitivity';

/** Makes a run directory and starts the run in it. output: where to write instead of the folder that the recipe names. */
export async function startRun(recipe: string, engine: EngineCommand, clock: Clock, output?: string, action: RunAction = 'run'): Promise<Launched> {
    await engine(); // Without a usable Python no directory is made.
    const { id, directory } = await makeDirectory(recipe, clock);
    return launch(directory, path.dirname(recipe), await engine(action, recipe, '--id', id, ...(output === undefined ? [] : ['--output', output])));
}

/** Starts a process that continues a run with the recipe that ran, whatever has become of the file since. */
export async function resumeRun(directory: string, recipe: string, engine: EngineCommand): Promise<Launched> {
    return launch(directory, path.dirname(recipe), await engine('run', '--resume', directory));
}

/**
 * The process has its own session and writes to files, so that it outlives this window; this window only learns of its end while it is open.
 */
function launch(directory: string, cwd: string, { file, args, env }: Awaited<ReturnType<EngineCommand>>): Launched {
    const log = openSync(path.join(directory, RUN_FILES.log), 'a');
    try {
        const logStart = fstatSync(log).size;
        const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ['ignore', log, log], windowsHide: true });
        child.unref();
        const ended = new Promise<LaunchEnd>((resolve) => {
            child.once('error', (error) => resolve({ exitCode: undefined, failure: error.message }));
            child.once('exit', (code) => resolve({ exitCode: code ?? undefined, failure: undefined }));
        });
        return { directory, pid: child.pid, logStart, ended };
    } finally {
        closeSync(log);
    }
}

async function makeDirectory(recipe: string, clock: Clock): Promise<{ id: string; directory: string }> {
    const runs = runsFolder(recipe);
    await mkdir(runs, { recursive: true });
    for (let count = 1; ; count++) {
        const id = runId(recipe, clock.now(), count);
        const directory = path.join(runs, id);
        try {
            await mkdir(directory);
            return { id, directory };
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
    }
}

/** What a process has written to the log. */
export async function words({ directory, logStart }: Launched): Promise<string> {
    try {
        return (await readFile(path.join(directory, RUN_FILES.log))).toString('utf8', logStart);
    } catch {
        return ''; // The log is gone with its directory.
    }
}

/** Removes the directory of a process that ended before it wrote anything but its log. */
export async function removeStillborn(directory: string): Promise<void> {
    const names = await readdir(directory).catch(() => []);
    if (names.length === 0 || names.some((name) => name !== RUN_FILES.log)) return;
    await rm(path.join(directory, RUN_FILES.log), { force: true });
    await rmdir(directory);
    // The folder of all runs goes too when this was the first; otherwise it is not empty and stays.
    await rmdir(path.dirname(directory)).catch(() => undefined);
}
