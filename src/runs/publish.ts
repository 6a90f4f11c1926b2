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
    for (const run of runs) {
        if (isActive(run.state)) recipes[uriOf(run.recipe)] ??= { run: run.id, label: runStatus(run), stage: stage(run) };
    }
    return { recipes };
}

function stage(run: Run): RunningParams['recipes'][string]['stage'] {
    if (run.state !== 'cancelling') return 'running';
    return run.stoppable ? 'stoppable' : 'cancelling';
}
