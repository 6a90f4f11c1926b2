/** Names inside a run directory; the engine writes them, everyone else only reads. */
export const RUN_FILES = {
    record: 'run.json',
    events: 'events.jsonl',
    result: 'result.json',
    recipe: 'recipe.quant.yaml',
    log: 'engine.log',
} as const;

/** Folder for run directories, beside the recipe. */
export const RUNS_FOLDER = 'runs';

/** Exit codes of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, fallbacks: 3, cancelled: 130 } as const;
