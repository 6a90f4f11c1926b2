// Run directories as the engine writes them, read by the test itself, and the processes behind them.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import type { Result } from '../../../protocol/generated/result';
import type { RunRecord } from '../../../protocol/generated/run';
import { RUN_FILES, RUNS_FOLDER } from '../../../protocol/runs';
import { until, type Workspace } from '../../rig';

/** How long a run of the sample may take on a machine with other work. */
export const RUN_TIME = 280_000;

const final: ReadonlySet<RunRecord['state']> = new Set(['done', 'done-with-fallbacks', 'failed']);

/** Run directories of a recipe in the workspace, oldest first. */
export function runDirectories(workspace: Workspace, recipe: string): string[] {
    const folder = workspace.path(RUNS_FOLDER);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(`Z-${recipe}`)) : [];
    return names.sort().map((name) => path.join(folder, name));
}

/** The record of a run; undefined while it has none. */
export function readRun(directory: string): RunRecord | undefined {
    const file = path.join(directory, RUN_FILES.record);
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) as RunRecord : undefined;
}

export function readResult(directory: string): Result {
    return JSON.parse(readFileSync(path.join(directory, RUN_FILES.result), 'utf8')) as Result;
}

/** Waits for the only run of a recipe to be as a test asks; the run's directory. One that has ended otherwise is not waited for any longer. */
export async function runThat(workspace: Workspace, recipe: string, is: string, fits: (run: RunRecord) => boolean): Promise<string> {
    let run: RunRecord | undefined;
    const found = await until(`the run of ${recipe} that ${is}`, () => {
        const directories = runDirectories(workspace, recipe);
        const [directory] = directories;
        run = directory === undefined ? undefined : readRun(directory);
        if (directory !== undefined && directories.length === 1 && run && (fits(run) || final.has(run.state))) return directory;
        throw new Error(JSON.stringify({ directories, state: run?.state, progress: run?.progress }));
    }, RUN_TIME);
    assert.ok(run && fits(run), `the run of ${recipe} ended as ${run?.state}: ${JSON.stringify(run)}`);
    return found;
}

/** Waits until a run has finished a block, and holds it there. */
export async function holdAtBlock(workspace: Workspace, recipe: string): Promise<string> {
    const directory = await runThat(workspace, recipe, 'has measured a block', ({ state, progress }) => state === 'running' && progress?.phase === 'measure' && progress.done > 0);
    hold(directory);
    return directory;
}

/** Stops a run's process where it is, as a debugger does, so that what is looked at does not depend on how fast the machine is. */
function hold(directory: string): void {
    process.kill(pidOf(directory), 'SIGSTOP');
}

export function letGo(directory: string): void {
    process.kill(pidOf(directory), 'SIGCONT');
}

/** Ends a run's process as a crash of the machine does. */
export function kill(directory: string): void {
    process.kill(pidOf(directory), 'SIGKILL');
}

function pidOf(directory: string): number {
    const run = readRun(directory);
    if (!run) throw new Error(`${directory} has no record.`);
    return run.pid;
}

/** Runs outlive the window that started them; a test that fails must not leave one. */
export function endRuns(workspace: Workspace): void {
    for (const pid of engineProcesses(workspace)) {
        try {
            process.kill(pid, 'SIGKILL');
        } catch {
            // It has just ended.
        }
    }
}

/**
 * Engine processes that work in this workspace, or that a process started (its descendants), whichever way they were started.
 * Other engines on the same machine are none of ours.
 */
export function engineProcesses(workspace: Workspace, ancestor?: number): number[] {
    const parents = new Map<number, number>();
    const engines: number[] = [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)) {
        try {
            const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
            const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
            parents.set(pid, Number(parent));
            const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
            if (state !== 'Z' && words.includes('quant_engine')) engines.push(pid);
        } catch {
            // It ended while it was looked at.
        }
    }
    return engines.filter((pid) => isInside(workspace, pid) || (ancestor !== undefined && descends(pid, ancestor, parents)));
}

function isInside(workspace: Workspace, pid: number): boolean {
    try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(workspace.folder);
    } catch {
        return false;
    }
}

function descends(pid: number, ancestor: number, parents: ReadonlyMap<number, number>): boolean {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) if (at === ancestor) return true;
    return false;
}
