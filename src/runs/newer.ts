import type { Run } from './run';
import { isActive } from './state';

/** Of the runs of one recipe, newest first, the one that a reader of an older one wants to know of: it is going on, or it has a result. */
export function newerRun(runs: readonly Run[], directory: string): Run | undefined {
    const own = runs.findIndex((run) => run.directory === directory);
    const newer = runs.slice(0, Math.max(0, own));
    const [run] = runs.slice(own, own + 1);
    if (!run || isActive(run.state)) return undefined;
    return newer.find(({ state }) => isActive(state)) ?? newer.find(({ hasResult }) => hasResult);
}
