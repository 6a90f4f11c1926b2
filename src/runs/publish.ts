import path from 'node:path';
import type { ResultsParams, RunningParams } from '../../protocol/language';
import { RUN_FILES } from '../../protocol/runs';
import { runStatus } from './describe';
import type { Run } from './run';
import { isActive } from './state';

/** The newest finished result of each recipe. `runs` come newest first. */
export function resultsSnapshot(runs: readonly Run[], uriOf: (file: string) => string): ResultsParams {
    const results: Record<string, string> = {};
    for (const run of runs) {
        if (run.hasResult && !isActive(run.state)) results[uriOf(run.recipe)] ??= path.join(run.directory, RUN_FILES.result);
    }
    return { results };
}

export function runningSnapshot(runs: readonly Run[], uriOf: (file: string) => string): RunningParams {
    const recipes: Record<string, RunningParams['recipes'][string]> = {};
    const seen = new Set<string>();
    for (const run of runs) {
        const isNewest = !seen.has(run.recipe);
        seen.add(run.recipe);
        if (!isActive(run.state) && !(isNewest && run.resumable)) continue;
        const label = isActive(run.state) ? '' : runStatus(run);
        recipes[uriOf(run.recipe)] ??= { run: run.id, label, stage: stage(run), output: run.record?.output ?? undefined };
    }
    return { recipes };
}

function stage(run: Run): RunningParams['recipes'][string]['stage'] {
    if (!isActive(run.state)) return 'resumable';
    if (run.state === 'starting' && !run.record) return 'starting';
    if (run.state !== 'cancelling') return 'running';
    return run.stoppable ? 'stoppable' : 'cancelling';
}
