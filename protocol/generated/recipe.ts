// Generated from schemas/recipe.schema.json by `npm run types`. Do not edit.

export type ShortUse =
    | (
          | 'gptq-w2a16'
          | 'gptq-w3a16'
          | 'gptq-w4a16'
          | 'gptq-w5a16'
          | 'gptq-w6a16'
          | 'gptq-w7a16'
          | 'gptq-w8a16'
          | 'gptq-w2a16_asym'
          | 'gptq-w3a16_asym'
          | 'gptq-w4a16_asym'
          | 'gptq-w5a16_asym'
          | 'gptq-w6a16_asym'
          | 'gptq-w7a16_asym'
          | 'gptq-w8a16_asym'
          | 'gptq-w8a8'
          | 'gptq-w4a8'
          | 'gptq-nvfp4a16'
          | 'gptq-nvfp4'
          | 'gptq-mxfp4a16'
          | 'gptq-mxfp4'
          | 'awq-w2a16'
          | 'awq-w3a16'
          | 'awq-w4a16'
          | 'awq-w5a16'
          | 'awq-w6a16'
          | 'awq-w7a16'
          | 'awq-w8a16'
          | 'awq-w2a16_asym'
          | 'awq-w3a16_asym'
          | 'awq-w4a16_asym'
          | 'awq-w5a16_asym'
          | 'awq-w6a16_asym'
          | 'awq-w7a16_asym'
          | 'awq-w8a16_asym'
          | 'smoothquant-w8a8'
          | 'smoothquant-w4a8'
          | 'smoothquant-fp8_dynamic'
          | 'smoothquant-mxfp4'
          | 'fp8'
          | 'fp8_dynamic'
          | 'fp8_block'
          | 'hqq-w2a16'
          | 'hqq-w3a16'
          | 'hqq-w4a16'
          | 'hqq-w5a16'
          | 'hqq-w6a16'
          | 'hqq-w7a16'
          | 'hqq-w8a16'
          | 'hqq-w2a16_asym'
          | 'hqq-w3a16_asym'
          | 'hqq-w4a16_asym'
          | 'hqq-w5a16_asym'
          | 'hqq-w6a16_asym'
          | 'hqq-w7a16_asym'
          | 'hqq-w8a16_asym'
          | 'hqq-w8a8'
          | 'hqq-w4a8'
          | 'rtn-w2a16'
          | 'rtn-w3a16'
          | 'rtn-w4a16'
          | 'rtn-w5a16'
          | 'rtn-w6a16'
          | 'rtn-w7a16'
          | 'rtn-w8a16'
          | 'rtn-w2a16_asym'
          | 'rtn-w3a16_asym'
          | 'rtn-w4a16_asym'
          | 'rtn-w5a16_asym'
          | 'rtn-w6a16_asym'
          | 'rtn-w7a16_asym'
          | 'rtn-w8a16_asym'
          | 'rtn-w8a8'
          | 'rtn-w4a8'
          | 'rtn-nvfp4a16'
          | 'rtn-nvfp4'
          | 'rtn-mxfp4a16'
          | 'rtn-mxfp4'
      )
    | {
          [k: string]: unknown;
      };
export type ShortUse1 = string;
export type LongUse = GptqUse | AwqUse | SmoothquantUse | Fp8Use | HqqUse | RtnUse;
/**
 * Keep the layer as it is, in the checkpoint's own dtype.
 */
export type Keep = 'none';

/**
 * A quantization recipe.
 */
export interface Recipe {
    /**
     * Hugging Face checkpoint folder (safetensors only), relative to the recipe.
     */
    model: string;
    /**
     * Calibration data. Absent: only methods and schemes that need none may be used (`rtn`, `hqq`, `fp8` with scales of inputs that are found at run time), weights are all that is looked at, and they are written as fast as they can be read.
     */
    calibration?: Calibration | null;
    /**
     * Devices that share the calibration batches, for example `[cuda:0, cuda:1]`; methods run on the first one. Absent: the first GPU, or the CPU without one. `--device` on the command line comes before it.
     */
    devices?: string[];
    /**
     * What the sensitivity panel compares on every layer, from one calibration pass; without calibration data on its weights alone. Absent: nothing is measured before.
     */
    candidates?: ((ShortUse & ShortUse1) | LongUse)[];
    quantize: Quantize;
    /**
     * End-to-end quality on held-out text. Absent: not measured.
     */
    evaluate?: Evaluate | null;
    /**
     * Folder for the quantized checkpoint, relative to the recipe; must not exist.
     */
    output: string;
    /**
     * How the checkpoint stores quantized layers. `compressed-tensors` holds every scheme. `gptq` and `gptq_v2` hold integer weights of 2, 3, 4 and 8 bits, and they alone groups in processing order (actorder `group`). Default: compressed-tensors.
     */
    output_format?: 'compressed-tensors' | 'gptq' | 'gptq_v2';
}
/**
 * The text that shows the methods what the layers' inputs look like.
 */
export interface Calibration {
    /**
     * Text to calibrate on: a `.jsonl` file with a `text` field in each line, or a plain `.txt` file. Relative to the recipe.
     */
    data: string;
    /**
     * Number of calibration sequences; more cost time and lose less. Default: 128.
     */
    samples?: number;
    /**
     * Tokens in each calibration sequence, at most the model's maximum. Default: 2048.
     */
    sequence_length?: number;
    /**
     * Seed that chooses the calibration sequences. Default: 0.
     */
    seed?: number;
}
/**
 * Quantizes column by column and makes up for each column's error in the columns after it, by second-order statistics of the inputs.
 */
export interface GptqUse {
    /**
     * **GPTQ**. Quantizes column by column and makes up for each column's error in the columns after it, by second-order statistics of the inputs.
     */
    method: 'gptq';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme:
        | 'W2A16'
        | 'W3A16'
        | 'W4A16'
        | 'W5A16'
        | 'W6A16'
        | 'W7A16'
        | 'W8A16'
        | 'W2A16_ASYM'
        | 'W3A16_ASYM'
        | 'W4A16_ASYM'
        | 'W5A16_ASYM'
        | 'W6A16_ASYM'
        | 'W7A16_ASYM'
        | 'W8A16_ASYM'
        | 'W8A8'
        | 'W4A8'
        | 'NVFP4A16'
        | 'NVFP4'
        | 'MXFP4A16'
        | 'MXFP4';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
    /**
     * Added to the Gram matrix's diagonal, relative to its mean, before it is inverted. Doubled as often as the factorisation fails; what was used is recorded for each layer. Default: 0.01.
     */
    damping?: number;
    /**
     * `weight`: columns with the largest activations are quantized first, groups stay where they are, nothing extra is stored (llm-compressor's `static`). `group`: groups too are made in that order, of columns whose activations are about as large (GPTQModel's `desc_act`, llm-compressor's `dynamic`); which group a column belongs to is stored, which takes `output_format: gptq` or `gptq_v2`. `none`: left to right. Default: weight.
     */
    actorder?: 'weight' | 'group' | 'none';
    /**
     * `static`: each group's scale is found before anything is quantized. `dynamic`: when its first column is reached, from the weights as they are then; with actorder `weight` the columns of a group then stay together, groups with the largest activations first. Default: static.
     */
    groups?: 'static' | 'dynamic';
    /**
     * Columns after which the remaining ones are updated; changes speed, not the result. Default: 128.
     */
    block_size?: number;
}
/**
 * Scales up the weights that meet large inputs, by a factor for each channel that is searched, and clips each group where that helps.
 */
export interface AwqUse {
    /**
     * **AWQ**. Scales up the weights that meet large inputs, by a factor for each channel that is searched, and clips each group where that helps.
     */
    method: 'awq';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme:
        | 'W2A16'
        | 'W3A16'
        | 'W4A16'
        | 'W5A16'
        | 'W6A16'
        | 'W7A16'
        | 'W8A16'
        | 'W2A16_ASYM'
        | 'W3A16_ASYM'
        | 'W4A16_ASYM'
        | 'W5A16_ASYM'
        | 'W6A16_ASYM'
        | 'W7A16_ASYM'
        | 'W8A16_ASYM';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
    /**
     * How many exponents 0, 1/grid, 2/grid … are tried for the scale. Default: 20.
     */
    grid?: number;
    /**
     * Divide by the weights' own magnitudes too, not only multiply by the inputs'. Default: true.
     */
    duo_scaling?: boolean;
    /**
     * Search, for each group, how much of its range to cut off; queries and keys are left whole. Default: true.
     */
    clip?: boolean;
    /**
     * How the scaled weights are rounded: `rtn`, `gptq` or `hqq`, or one of them with its own arguments, such as `{ method: gptq, damping: 0.05 }`. Default: rtn.
     */
    rounding?: ('rtn' | 'gptq' | 'hqq') | (RtnRounding | GptqRounding | HqqRounding);
}
/**
 * Rounds every weight to the nearest point of its group's grid. No calibration; the baseline of all others.
 */
export interface RtnRounding {
    /**
     * **Round to nearest**. Rounds every weight to the nearest point of its group's grid. No calibration; the baseline of all others.
     */
    method: 'rtn';
    /**
     * `minmax`: each group's grid covers its whole range. `mse`: ranges shrunk to 99, 98 … 21 % are tried for each group too, and the one with the least Σ|ŵ − w|^2.4 is taken. Default: minmax.
     */
    range?: 'minmax' | 'mse';
}
/**
 * Quantizes column by column and makes up for each column's error in the columns after it, by second-order statistics of the inputs.
 */
export interface GptqRounding {
    /**
     * **GPTQ**. Quantizes column by column and makes up for each column's error in the columns after it, by second-order statistics of the inputs.
     */
    method: 'gptq';
    /**
     * Added to the Gram matrix's diagonal, relative to its mean, before it is inverted. Doubled as often as the factorisation fails; what was used is recorded for each layer. Default: 0.01.
     */
    damping?: number;
    /**
     * `weight`: columns with the largest scaled inputs are quantized first. `none`: left to right. Default: weight.
     */
    actorder?: 'weight' | 'none';
    /**
     * `static`: each group's scale is found before anything is quantized. `dynamic`: when its first column is reached, from the weights as they are then; with actorder `weight` the columns of a group then stay together, groups with the largest activations first. Default: static.
     */
    groups?: 'static' | 'dynamic';
    /**
     * Columns after which the remaining ones are updated; changes speed, not the result. Default: 128.
     */
    block_size?: number;
}
/**
 * Fits each group's scale and zero point to the weights, so that most weights are met closely and outliers count less. No calibration.
 */
export interface HqqRounding {
    /**
     * **HQQ**. Fits each group's scale and zero point to the weights, so that most weights are met closely and outliers count less. No calibration.
     */
    method: 'hqq';
    /**
     * The exponent p of Σ|w − ŵ|^p, which is made small: the smaller it is, the less outliers count. Default: 0.7.
     */
    norm?: number;
    /**
     * How often the grid is fitted again. Default: 40.
     */
    iterations?: number;
}
/**
 * Moves outliers from the inputs into the weights by a factor for each channel, so that both can be rounded to 8 bits.
 */
export interface SmoothquantUse {
    /**
     * **SmoothQuant**. Moves outliers from the inputs into the weights by a factor for each channel, so that both can be rounded to 8 bits.
     */
    method: 'smoothquant';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme: 'W8A8' | 'W4A8' | 'FP8_DYNAMIC' | 'MXFP4';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
    /**
     * How much of the inputs' spread the weights take over (α of the paper): 0 none, 1 all. Models with massive activations need 0.8 and more. Default: 0.5.
     */
    strength?: number;
    /**
     * What is balanced: `absmax`, the largest magnitudes, as in the paper's code; `range`, largest minus smallest value, as in llm-compressor. Default: absmax.
     */
    statistic?: 'absmax' | 'range';
    /**
     * How the scaled weights are rounded: `rtn`, `gptq` or `hqq`, or one of them with its own arguments, such as `{ method: gptq, damping: 0.05 }`. Default: rtn.
     */
    rounding?: ('rtn' | 'gptq' | 'hqq') | (RtnRounding | GptqRounding | HqqRounding);
}
/**
 * Stores weights as 8-bit floating-point numbers and rounds inputs to them at run time; half the size, nearly the original's quality.
 */
export interface Fp8Use {
    /**
     * **FP8**. Stores weights as 8-bit floating-point numbers and rounds inputs to them at run time; half the size, nearly the original's quality.
     */
    method: 'fp8';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme: 'FP8' | 'FP8_DYNAMIC' | 'FP8_BLOCK';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
}
/**
 * Fits each group's scale and zero point to the weights, so that most weights are met closely and outliers count less. No calibration.
 */
export interface HqqUse {
    /**
     * **HQQ**. Fits each group's scale and zero point to the weights, so that most weights are met closely and outliers count less. No calibration.
     */
    method: 'hqq';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme:
        | 'W2A16'
        | 'W3A16'
        | 'W4A16'
        | 'W5A16'
        | 'W6A16'
        | 'W7A16'
        | 'W8A16'
        | 'W2A16_ASYM'
        | 'W3A16_ASYM'
        | 'W4A16_ASYM'
        | 'W5A16_ASYM'
        | 'W6A16_ASYM'
        | 'W7A16_ASYM'
        | 'W8A16_ASYM'
        | 'W8A8'
        | 'W4A8';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
    /**
     * The exponent p of Σ|w − ŵ|^p, which is made small: the smaller it is, the less outliers count. Default: 0.7.
     */
    norm?: number;
    /**
     * How often the grid is fitted again. Default: 40.
     */
    iterations?: number;
}
/**
 * Rounds every weight to the nearest point of its group's grid. No calibration; the baseline of all others.
 */
export interface RtnUse {
    /**
     * **Round to nearest**. Rounds every weight to the nearest point of its group's grid. No calibration; the baseline of all others.
     */
    method: 'rtn';
    /**
     * Number format of weights and activations, by compressed-tensors' names.
     */
    scheme:
        | 'W2A16'
        | 'W3A16'
        | 'W4A16'
        | 'W5A16'
        | 'W6A16'
        | 'W7A16'
        | 'W8A16'
        | 'W2A16_ASYM'
        | 'W3A16_ASYM'
        | 'W4A16_ASYM'
        | 'W5A16_ASYM'
        | 'W6A16_ASYM'
        | 'W7A16_ASYM'
        | 'W8A16_ASYM'
        | 'W8A8'
        | 'W4A8'
        | 'NVFP4A16'
        | 'NVFP4'
        | 'MXFP4A16'
        | 'MXFP4';
    /**
     * Consecutive input weights that share one scale, or `channel` for one scale for each output row. Default: 128. Must divide the layer's input width; smaller groups cost more bits and lose less.
     */
    group_size?: 'channel' | number | null;
    /**
     * `minmax`: each group's grid covers its whole range. `mse`: ranges shrunk to 99, 98 … 21 % are tried for each group too, and the one with the least Σ|ŵ − w|^2.4 is taken. Default: minmax.
     */
    range?: 'minmax' | 'mse';
}
/**
 * Which layer is quantized how.
 */
export interface Quantize {
    /**
     * How to quantize every linear layer of the blocks that no rule names. `lm_head` is quantized only when a rule names it.
     */
    default: Keep | (ShortUse & ShortUse1) | LongUse;
    /**
     * Choose among the candidates for layers that no rule names, under this limit. Absent: default and rules alone decide.
     */
    budget?: Budget | null;
    /**
     * Exceptions from the default; the first rule that matches a layer wins.
     */
    rules?: Rule[];
}
/**
 * A limit, by exactly one of its keys; the best candidates under it are chosen from the measured sensitivity.
 */
export interface Budget {
    /**
     * Average stored bits for each weight of the quantized layers, scales included: the least noise within them.
     */
    bits_per_weight?: number;
    /**
     * Bytes of all tensors of the written checkpoint, for example `5 GB` or `4.5 GiB`: the least noise within them.
     */
    size?: string;
    /**
     * The smallest SQNR in dB that a layer may have: the smallest checkpoint that keeps it. Layers of rules do not count.
     */
    min_sqnr?: number;
    /**
     * What is least within `bits_per_weight` or `size`. `importance`: the KL divergence that is predicted from each output's measured importance, which takes a backward pass over some of the calibration tokens. `noise`: Σ noise / signal over the layers, every layer alike. Default: importance.
     */
    objective?: 'noise' | 'importance';
}
/**
 * Layers, and how to quantize them. The first rule that matches a layer decides.
 */
export interface Rule {
    /**
     * Pattern over module names, for example `*.mlp.down_proj`: `*` stands for any characters (dots too), `?` for one, `[0-3]` for one of a set. A list matches when any of its patterns does.
     */
    layers: string | [string, ...string[]];
    /**
     * How to quantize these layers: a short form, a mapping, or `none` to keep them.
     */
    use: Keep | (ShortUse & ShortUse1) | LongUse;
}
/**
 * What is measured end to end: perplexity, KL divergence and the same-top-token rate on held-out text.
 */
export interface Evaluate {
    /**
     * Held-out text (`.txt`, or `.jsonl` with a `text` field) that calibration never saw. Relative to the recipe.
     */
    data: string;
    /**
     * Number of held-out sequences. Default: 64.
     */
    samples?: number;
    /**
     * Tokens in each held-out sequence. Default: 2048.
     */
    sequence_length?: number;
    /**
     * Also run the original on the same text: its perplexity, KL divergence and same-top-token rate need it. Default: true.
     */
    baseline?: boolean;
}
