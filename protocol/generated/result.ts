// Generated from schemas/result.schema.json by `npm run types`. Do not edit.

/**
 * The summary of one run.
 */
export interface Result {
    format: 1;
    /**
     * Name of the run directory.
     */
    run: string;
    action: 'run' | 'sensitivity';
    /**
     * Absolute path of the recipe that ran.
     */
    recipe: string;
    /**
     * Absolute path of the checkpoint.
     */
    model: string;
    architecture: string;
    /**
     * Absolute path of the written checkpoint; null when none was written.
     */
    output: string | null;
    /**
     * Candidate labels in recipe order.
     */
    candidates: string[];
    layers: LayerResult[];
    sizes: Sizes;
    scores: Scores;
    problems: Problem[];
    /**
     * Of what the recipe asks for, as of the front's points; null when it asks for no candidate where no rule decides.
     */
    predicted_loss: number | null;
    /**
     * Null without candidates, or when rules decide every layer.
     */
    pareto: ParetoFront | null;
    /**
     * By candidate label the name of the run that measured it: this one, or an earlier one with the same identity.
     */
    measured_by: {
        [k: string]: string;
    };
    /**
     * Name of the run that measured the importance in predicted_kl; null: it has none.
     */
    importance_by: string | null;
    /**
     * What the measurements depend on. A run takes those of another one only when all of it is equal.
     */
    identity: {
        [k: string]: string;
    };
    /**
     * 0: the recipe has no calibration data.
     */
    calibration_tokens: number;
    /**
     * Wall time by phase.
     */
    seconds: {
        [k: string]: number;
    };
    /**
     * Peak resident memory of the process.
     */
    peak_memory_bytes: number;
}
/**
 * One linear layer: what was measured, asked and done.
 */
export interface LayerResult {
    /**
     * Module name, for example model.layers.0.mlp.down_proj.
     */
    name: string;
    /**
     * Index of its block; null for layers outside the blocks (lm_head).
     */
    block: number | null;
    /**
     * Last part of the name, for example down_proj.
     */
    kind: string;
    /**
     * Rows of the weight matrix.
     */
    outputs: number;
    /**
     * Columns of the weight matrix.
     */
    inputs: number;
    /**
     * Layers with the same value read the same input.
     */
    group: string;
    /**
     * Calibration tokens that reached the layer; 0 without calibration data.
     */
    tokens: number;
    /**
     * Σ‖y‖² of the float layer, float64; without calibration data Σw².
     */
    signal: number;
    /**
     * Measurements by candidate label, on the float model's inputs.
     */
    candidates: {
        [k: string]: Measurement;
    };
    /**
     * Index of the deciding rule, `default`, `budget`; null: not a target.
     */
    rule: number | ('default' | 'budget') | null;
    /**
     * Label that the recipe asks for; null: kept as it is.
     */
    asked: string | null;
    /**
     * Label that was applied; null: kept, or not yet quantized.
     */
    applied: string | null;
    /**
     * Why applied differs from asked.
     */
    fallback: string | null;
    /**
     * What is worth knowing of a layer that got what was asked, for example its scale.
     */
    note: string | null;
    /**
     * Relative damping used when the layer was quantized.
     */
    damping: number | null;
    /**
     * The method's own loss when the layer was quantized.
     */
    loss: number | null;
    /**
     * The written weights against the float ones, on the inputs of the quantized network; see its `of`.
     */
    achieved: Measurement | null;
    /**
     * Null where the original was not evaluated beside the quantized model, for experts, and for lm_head.
     */
    accumulated: Accumulated | null;
    /**
     * Stored bits for each weight as written (16 for kept bf16/fp16 layers).
     */
    bits_per_weight: number;
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
/**
 * A layer's output in the quantized model, with the errors of all layers before it, beside that in the original, on held-out text.
 */
export interface Accumulated {
    /**
     * Σ‖y‖² of the original model, float64.
     */
    signal: number;
    /**
     * Σ‖y − ŷ‖², ŷ of the quantized model.
     */
    noise: number;
    /**
     * 10·log10(signal / noise) in dB; null unless state is finite.
     */
    sqnr_db: number | null;
    /**
     * As of a measurement.
     */
    state: 'finite' | 'infinite' | 'zero-signal';
}
export interface Sizes {
    /**
     * Tensor bytes of the original checkpoint.
     */
    original_bytes: number;
    /**
     * Tensor bytes of the written checkpoint; null before it is written.
     */
    quantized_bytes: number | null;
    /**
     * Average over the weights of all target layers.
     */
    bits_per_weight: number;
    /**
     * Average over all parameters of the model.
     */
    model_bits_per_weight: number;
}
export interface Scores {
    /**
     * Of the quantized checkpoint.
     */
    perplexity: Score | null;
    /**
     * Of the original.
     */
    baseline_perplexity: Score | null;
    /**
     * Quantized over original perplexity, its standard error from the differences of each sequence.
     */
    perplexity_ratio: Score | null;
    /**
     * Mean KL(original ‖ quantized) of the next-token distributions, nats.
     */
    kl: Score | null;
    /**
     * Share of positions whose most likely token is the same.
     */
    same_top: Score | null;
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
/**
 * What can be had for how many bits, rules kept: from the smallest assignment of the candidates to the best.
 */
export interface ParetoFront {
    /**
     * What the points' predicted loss is.
     */
    objective: 'noise' | 'importance';
    /**
     * Layers that no rule decides; those that have to share a candidate are one unit.
     */
    units: string[][];
    /**
     * Layers whose rule asks for something that is no candidate: in size and bits, not in loss and SQNR.
     */
    unmeasured: string[];
    /**
     * Ascending in size; `quant-engine recipe RUN --point N` counts them from 1.
     */
    points: ParetoPoint[];
}
/**
 * An assignment that no other beats in both size and predicted loss.
 */
export interface ParetoPoint {
    /**
     * Average stored bits for each weight of the quantized layers, those of rules included.
     */
    bits_per_weight: number;
    /**
     * Tensor bytes of the checkpoint that it gives.
     */
    bytes: number;
    /**
     * Over all quantized layers but the unmeasured ones: Σ noise / signal, or KL divergence in nats; see `objective`.
     */
    predicted_loss: number;
    /**
     * SQNR of the worst of these layers in dB; null when all of them are exact.
     */
    min_sqnr_db: number | null;
    /**
     * For each unit the index of its candidate.
     */
    assignment: number[];
}
