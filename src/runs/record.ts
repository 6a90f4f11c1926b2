import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '../../protocol/generated/result';
import type { RunRecord } from '../../protocol/generated/run';
import { RUN_FILES } from '../../protocol/runs';

const STATES: Readonly<Record<RunRecord['state'], true>> = {
    starting: true, running: true, cancelling: true, cancelled: true, failed: true, done: true, 'done-with-fallbacks': true,
};

/** Reads `run.json`; undefined while there is none, or when it is not one of ours. */
export async function readRecord(directory: string): Promise<RunRecord | undefined> {
    const value = await readJson(path.join(directory, RUN_FILES.record));
    return isRunRecord(value) ? value : undefined;
}

/** Reads `result.json`; undefined while there is none. */
export async function readResult(directory: string): Promise<Result | undefined> {
    const value = await readJson(path.join(directory, RUN_FILES.result));
    return isResult(value) ? value : undefined;
}

/** The files of a run are the engine's; a later version may have changed them, so what is used is looked at. */
function isRunRecord(value: unknown): value is RunRecord {
    if (typeof value !== 'object' || value === null) return false;
    const record = value as Partial<RunRecord>;
    const texts = [record.run, record.recipe, record.model, record.created, record.updated, record.host];
    return record.format === 1 && Object.hasOwn(STATES, String(record.state)) && texts.every((text) => typeof text === 'string')
        && typeof record.pid === 'number' && typeof record.pid_started === 'number';
}

function isResult(value: unknown): value is Result {
    if (typeof value !== 'object' || value === null) return false;
    const result = value as Partial<Result>;
    return result.format === 1 && Array.isArray(result.layers) && Array.isArray(result.candidates) && Array.isArray(result.problems);
}

async function readJson(file: string): Promise<unknown> {
    try {
        return JSON.parse(await readFile(file, 'utf8'));
    } catch (error) {
        // Not there yet, or being written by something that does not replace files atomically: the next look decides.
        if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
        throw error;
    }
}
