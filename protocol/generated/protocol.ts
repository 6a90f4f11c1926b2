// Generated from schemas/protocol.schema.json by `npm run types`. Do not edit.

/**
 * All messages, so that one schema file describes them.
 */
export interface Protocol {
    hello_params: HelloParams;
    hello: Hello;
    devices: Devices;
    inspect_params: InspectParams;
    checkpoint: Checkpoint;
    conversion: Conversion;
    unloaded: Unloaded;
    doctor: DoctorReport;
    check: CheckReport;
    preflight: Preflight;
}
export interface HelloParams {
    /**
     * Protocol version of the caller.
     */
    protocol: number;
    client: string;
}
/**
 * Answer to `hello`: the engine is started.
 */
export interface Hello {
    protocol: number;
    /**
     * Engine version.
     */
    engine: string;
    python: string;
    executable: string;
    pid: number;
    host: string;
}
/**
 * Answer to `devices` (imports torch).
 */
export interface Devices {
    torch: string;
    devices: Device[];
    /**
     * Resident memory of the engine process.
     */
    process_bytes: number;
}
export interface Device {
    /**
     * `cpu`, `cuda:0` …
     */
    id: string;
    name: string;
    total_bytes: number;
    free_bytes: number;
}
export interface InspectParams {
    checkpoint: string;
}
/**
 * Answer to `inspect`.
 */
export interface Checkpoint {
    path: string;
    architecture: string;
    model_type: string;
    supported: boolean;
    dtype: string;
    parameters: number;
    bytes: number;
    blocks: number;
    quantization: Quantization | null;
    modules: ModuleInfo[];
}
export interface Quantization {
    /**
     * For example compressed-tensors, gptq, awq, fp8.
     */
    method: string;
    format: string | null;
    bits: number[];
    /**
     * Consecutive inputs that share a scale; -1: all inputs of an output.
     */
    group_sizes: number[];
    /**
     * null: not known, or both occur.
     */
    symmetric: boolean | null;
}
export interface ModuleInfo {
    name: string;
    /**
     * Last part of the name.
     */
    kind: string;
    block: number | null;
    shape: number[];
    dtype: string;
    parameters: number;
    /**
     * Of what stands for the weight: values or codes, scales, zero points, group indices; not of a bias.
     */
    bytes: number;
    quantizable: boolean;
}
/**
 * What `quant-engine convert` did.
 */
export interface Conversion {
    source: string;
    /**
     * As `--to` names it.
     */
    source_layout: string;
    output: string;
    layout: string;
    quantization: Quantization1;
    /**
     * Layers converted; every other tensor is the source's, bit for bit.
     */
    layers: number;
    scales: number;
    /**
     * Scales that float16 does not hold exactly.
     */
    scales_rounded: number;
    /**
     * Relative; 0 when no scale was rounded.
     */
    largest_scale_change: number;
    source_bytes: number;
    output_bytes: number;
    warnings: string[];
}
/**
 * Of the output.
 */
export interface Quantization1 {
    /**
     * For example compressed-tensors, gptq, awq, fp8.
     */
    method: string;
    format: string | null;
    bits: number[];
    /**
     * Consecutive inputs that share a scale; -1: all inputs of an output.
     */
    group_sizes: number[];
    /**
     * null: not known, or both occur.
     */
    symmetric: boolean | null;
}
/**
 * Answer to `unload`.
 */
export interface Unloaded {
    freed_bytes: number;
}
export interface DoctorReport {
    checks: DoctorCheck[];
}
export interface DoctorCheck {
    name: string;
    status: 'fulfilled' | 'warning' | 'fatal';
    found: string;
    /**
     * What to do; empty when fulfilled.
     */
    advice: string;
}
export interface CheckReport {
    diagnostics: Diagnostic[];
}
/**
 * One finding of `quant-engine check`, positions 1-based, end exclusive.
 */
export interface Diagnostic {
    path: string;
    line: number;
    column: number;
    end_line: number;
    end_column: number;
    severity: 'error' | 'warning' | 'information' | 'hint';
    message: string;
    code: string;
    /**
     * What to do.
     */
    advice: string;
}
/**
 * What a run would take, by `quant-engine preflight`. Only `findings` of a recipe that was refused.
 */
export interface Preflight {
    recipe: string;
    model: string;
    architecture: string;
    device: Device | null;
    /**
     * Of all tensors of the original checkpoint.
     */
    original_bytes: number;
    calibration_tokens: number;
    held_out_tokens: number;
    output: OutputForecast | null;
    phases: PhaseForecast[];
    /**
     * All phases together.
     */
    seconds: number;
    /**
     * The highest of the phases.
     */
    host_bytes: number;
    device_bytes: number | null;
    disks: DiskForecast[];
    /**
     * What finding this out took.
     */
    probe_seconds: number;
    /**
     * Of the processor, that other processes had meanwhile, 0 to 1.
     */
    others_share: number;
    findings: Diagnostic[];
}
/**
 * The checkpoint that will be written.
 */
export interface OutputForecast {
    /**
     * Of all tensors of the written checkpoint.
     */
    tensor_bytes: number;
    /**
     * Of the quantized layers, scales included.
     */
    bits_per_weight: number;
    /**
     * false: a budget decides after the measurement, and this is a likely choice.
     */
    exact: boolean;
    /**
     * Of the whole folder, headers and documents included.
     */
    file_bytes: number;
    model_bits_per_weight: number;
    /**
     * What a budget's candidates can reach; null without a budget.
     */
    least: SizeBound | null;
    most: SizeBound | null;
    /**
     * By the budget.
     */
    allowed_bits_per_weight: number | null;
    /**
     * Tensor bytes, by the budget.
     */
    allowed_bytes: number | null;
}
export interface SizeBound {
    /**
     * Of all tensors of the written checkpoint.
     */
    tensor_bytes: number;
    /**
     * Of the quantized layers, scales included.
     */
    bits_per_weight: number;
}
export interface PhaseForecast {
    phase: string;
    seconds: number;
    /**
     * Resident memory at the phase's peak, libraries included.
     */
    host_bytes: number;
    /**
     * Allocated on the GPU at the phase's peak; null on the CPU.
     */
    device_bytes: number | null;
}
export interface DiskForecast {
    path: string;
    what: string;
    needed_bytes: number;
    free_bytes: number;
}
