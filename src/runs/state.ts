import type { RunRecord } from '../../protocol/generated/run';

/** What a run looks like to the user: the engine's own states, and `interrupted` for a process that is gone without having said so. */
export type RunState = RunRecord['state'] | 'interrupted';

const ACTIVE: ReadonlySet<RunState> = new Set(['starting', 'running', 'cancelling']);

export function isActive(state: RunState): boolean {
    return ACTIVE.has(state);
}

/**
 * The state of a run.
 *
 * @param processAlive whether the run's own process exists, asked *before* the record was read: a run that ends between the two has then
 *   written its last state already. undefined: cannot be told (another machine).
 */
export function deriveState(record: RunRecord, processAlive: boolean | undefined): RunState {
    return ACTIVE.has(record.state) && processAlive === false ? 'interrupted' : record.state;
}

export function isResumable(record: RunRecord, state: RunState): boolean {
    return record.resumable && !isActive(state) && state !== 'done' && state !== 'done-with-fallbacks';
}
