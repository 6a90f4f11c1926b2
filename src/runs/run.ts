import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Counter, RunRecord } from '../../protocol/generated/run';
import { RUN_FILES } from '../../protocol/runs';
import type { Liveness } from './liveness';
import { recipeName } from './naming';
import { readRecord } from './record';
import { deriveState, isActive, isResumable, type RunState } from './state';

/** One run as it was last seen. A new object for each change. */
export interface Run {
    /** Absolute path of the run directory: the run's identity. */
    readonly directory: string;
    readonly id: string;
    /** Absolute path of the recipe. */
    readonly recipe: string;
    /** The recipe's name without its endings. */
    readonly name: string;
    readonly state: RunState;
    readonly progress: Counter | null;
    readonly created: string;
    readonly resumable: boolean;
    /** It was asked to cancel and has taken its time: to stop it at once is offered. */
    readonly stoppable: boolean;
    readonly hasResult: boolean;
    /** undefined between the start of the process and its first word. */
    readonly record: RunRecord | undefined;
}

/** Looks at a run directory. undefined: no run (any more). */
export async function lookAtRun(directory: string, alive: Liveness): Promise<Run | undefined> {
    const first = await readRecord(directory);
    if (!first) return undefined;
    let record: RunRecord = first;
    let state: RunState = first.state;
    if (isActive(first.state)) {
        const living = await alive(first);
        record = (await readRecord(directory)) ?? first;
        // Resumed by another process in between: that one is alive.
        state = record.pid === first.pid ? deriveState(record, living) : record.state;
    }
    return {
        directory, record, state, id: path.basename(directory), recipe: record.recipe, name: recipeName(record.recipe), progress: record.progress,
        created: record.created, resumable: isResumable(record, state), stoppable: false, hasResult: await isFile(path.join(directory, RUN_FILES.result)),
    };
}

/** A run whose process was just started and has not written anything yet. */
export function startingRun(directory: string, recipe: string, now: number): Run {
    return {
        directory, recipe, id: path.basename(directory), name: recipeName(recipe), state: 'starting', progress: null,
        created: new Date(now).toISOString(), resumable: false, stoppable: false, hasResult: false, record: undefined,
    };
}

/** Whether a panel has something to show: a result, or what a run has measured that goes on or can go on. */
export function isShowable(run: Pick<Run, 'hasResult' | 'state' | 'resumable'>): boolean {
    return run.hasResult || run.resumable || isActive(run.state);
}

export function sameRun(a: Run, b: Run): boolean {
    return a.state === b.state && a.stoppable === b.stoppable && a.hasResult === b.hasResult && a.record?.updated === b.record?.updated && a.record?.pid === b.record?.pid;
}

async function isFile(file: string): Promise<boolean> {
    try {
        return (await stat(file)).isFile();
    } catch {
        return false;
    }
}
