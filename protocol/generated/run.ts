// Generated from schemas/run.schema.json by `npm run types`. Do not edit.

/**
 * `run.json`, replaced atomically at every change.
 */
export interface RunRecord {
    format: 1;
    /**
     * Name of the run directory.
     */
    run: string;
    action: 'run' | 'sensitivity';
    /**
     * Absolute path of the recipe.
     */
    recipe: string;
    /**
     * Absolute path of the checkpoint.
     */
    model: string;
    output: string | null;
    state: 'starting' | 'running' | 'cancelling' | 'cancelled' | 'failed' | 'done' | 'done-with-fallbacks';
    progress: Counter | null;
    created: string;
    updated: string;
    finished: string | null;
    pid: number;
    /**
     * Start time of that process (seconds since the epoch): tells a reused pid from the run's own.
     */
    pid_started: number;
    host: string;
    device: string;
    /**
     * Versions of Python, the engine and the libraries.
     */
    environment: {
        [k: string]: string;
    };
    /**
     * SHA-256 of what the measurements depend on (`identity` of the result); null: not known yet.
     */
    measurement: string | null;
    /**
     * Whether `--resume` can continue it.
     */
    resumable: boolean;
    error: Problem | null;
    advice: string | null;
    /**
     * Log file in the run directory.
     */
    log: string;
}
export interface Counter {
    phase: 'prepare' | 'importance' | 'measure' | 'choose' | 'quantize' | 'evaluate' | 'write';
    done: number;
    total: number;
    unit: string;
    /**
     * What is being done within the next unit, for example layers and a candidate.
     */
    doing: string;
    /**
     * Of this phase, from the units done so far; null before there is one.
     */
    seconds_left: number | null;
}
/**
 * Something a person should look at, in the recipe's coordinates where it has any (1-based).
 */
export interface Problem {
    severity: 'error' | 'warning' | 'information';
    code: string;
    message: string;
    layer: string | null;
    line: number | null;
    column: number | null;
    end_line: number | null;
    end_column: number | null;
}
