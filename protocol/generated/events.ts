// Generated from schemas/events.schema.json by `npm run types`. Do not edit.

/**
 * One line of `events.jsonl`.
 */
export type Events =
    | Started
    | PhaseStarted
    | Progress
    | Reused
    | LayerMeasured
    | LayerQuantized
    | Fallback
    | Scored
    | Failed
    | Cancelled
    | Done;

export interface Started {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'started';
    pid: number;
    resumed: boolean;
}
export interface PhaseStarted {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'phase';
    phase: 'prepare' | 'importance' | 'measure' | 'choose' | 'quantize' | 'evaluate' | 'write';
    /**
     * Units of work in this phase (blocks, sequences).
     */
    total: number;
    unit: string;
}
export interface Progress {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'progress';
    phase: 'prepare' | 'importance' | 'measure' | 'choose' | 'quantize' | 'evaluate' | 'write';
    done: number;
    total: number;
    /**
     * What is being done, for example a block's name.
     */
    message: string;
}
/**
 * Measurements of an earlier run with the same data are taken; their layers follow as layer-measured.
 */
export interface Reused {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'reused';
    /**
     * Name of the run directory that they are read from.
     */
    run: string;
    /**
     * Labels of the candidates that need not be measured.
     */
    candidates: string[];
}
export interface LayerMeasured {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'layer-measured';
    layer: string;
    signal: number;
    candidates: {
        [k: string]: Measurement;
    };
}
/**
 * One candidate on one layer: at the layer's output, over all calibration tokens; without calibration data on its weights alone.
 */
export interface Measurement {
    /**
     * What signal, noise and SQNR are of. outputs: y and what it becomes. weights: w and what it becomes, without calibration data; such an SQNR says nothing of what inputs make of the error, nor of rounded inputs.
     */
    of: 'outputs' | 'weights';
    /**
     * Σ‖y − ŷ‖², float64; of weights Σ(w − ŵ)².
     */
    noise: number;
    /**
     * 10·log10(signal / noise) in dB; null unless state is finite.
     */
    sqnr_db: number | null;
    /**
     * finite; infinite: no error at all; zero-signal: the layer's output is zero.
     */
    state: 'finite' | 'infinite' | 'zero-signal';
    /**
     * Stored bits for each weight, scales and zero points included.
     */
    bits_per_weight: number;
    /**
     * What the noise costs by each output's measured importance: KL divergence in nats for each token; null: not measured.
     */
    predicted_kl: number | null;
    /**
     * Where inputs are rounded too: the SQNR in dB of the rounded weights on inputs as they are; null: not measured, or no number.
     */
    weight_only_db: number | null;
    /**
     * Relative damping that was needed, for methods that use it.
     */
    damping: number | null;
    /**
     * Why the method could not do as asked; null when it did.
     */
    fallback: string | null;
}
export interface LayerQuantized {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'layer-quantized';
    layer: string;
    asked: string;
    applied: string;
    damping: number | null;
    loss: number | null;
    achieved: Measurement;
}
export interface Fallback {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'fallback';
    layer: string;
    asked: string;
    applied: string;
    reason: string;
}
export interface Scored {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'score';
    name: 'perplexity' | 'baseline_perplexity' | 'perplexity_ratio' | 'kl' | 'same_top';
    score: Score;
}
/**
 * An end-to-end number with its standard error over held-out sequences.
 */
export interface Score {
    value: number;
    standard_error: number;
    /**
     * Held-out sequences.
     */
    samples: number;
    /**
     * Predicted tokens.
     */
    tokens: number;
}
export interface Failed {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'failed';
    problem: Problem;
    advice: string;
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
export interface Cancelled {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'cancelled';
    message: string;
}
export interface Done {
    /**
     * 1, 2, 3 … without gaps, over resumes too.
     */
    sequence: number;
    /**
     * UTC, ISO 8601.
     */
    time: string;
    type: 'done';
    state: 'done' | 'done-with-fallbacks';
    output: string | null;
}
