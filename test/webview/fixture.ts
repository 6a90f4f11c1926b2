import type { LayerResult, Measurement, Result } from '../../protocol/generated/result';
import type { RunRecord } from '../../protocol/generated/run';
import { PANEL_PROTOCOL_VERSION, type HostMessage } from '../../protocol/panel';

export type Snapshot = Extract<HostMessage, { type: 'snapshot' }>;

export const CANDIDATES = ['rtn-w8a16', 'rtn-w4a16', 'gptq-w4a16', 'rtn-w3a16', 'gptq-w3a16', 'gptq-w2a16'];
const decibels: Record<string, number> = {
    'rtn-w8a16': 43,
    'rtn-w4a16': 18.5,
    'gptq-w4a16': 22,
    'rtn-w3a16': 11.5,
    'gptq-w3a16': 15.5,
    'gptq-w2a16': 7,
};
const shapes: Record<string, readonly [number, number]> = {
    'self_attn.q_proj': [256, 256],
    'self_attn.k_proj': [128, 256],
    'self_attn.v_proj': [128, 256],
    'self_attn.o_proj': [256, 256],
    'mlp.gate_proj': [640, 256],
    'mlp.up_proj': [640, 256],
    'mlp.down_proj': [256, 640],
};

/** A small generator with a fixed seed: the same fixture in every run. */
function noise(seed: number): () => number {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32 - 0.5;
    };
}

export function finite(sqnr: number, bits: number, signal = 1e6): Measurement {
    return { of: 'outputs', noise: signal * 10 ** (-sqnr / 10), sqnr_db: sqnr, state: 'finite', bits_per_weight: bits, predicted_kl: null, weight_only_db: null, damping: null, fallback: null };
}

function bitsOf(candidate: string): number {
    return Number(/w(\d)/.exec(candidate)?.[1] ?? 16) + 0.125;
}

function layer(name: string, block: number | null, shape: readonly [number, number], candidates: readonly string[], random: () => number): LayerResult {
    const kind = name.split('.').at(-1) ?? name;
    const shift = (kind === 'down_proj' ? -4 : kind === 'v_proj' ? 2 : 0) + random() * 3 + ((block ?? 0) % 32) * 0.2;
    const cells = Object.fromEntries(
        candidates.map((label) => {
            const cell = finite((decibels[label.replace(/-g\d+$/, '')] ?? 20) + shift + random() * 1.6, bitsOf(label));
            return [label, label.startsWith('gptq') ? { ...cell, damping: 0.01 } : cell];
        }),
    );
    const applied = kind === 'lm_head' ? null : kind === 'down_proj' ? (candidates[0] ?? null) : (candidates[2] ?? null);
    return {
        name, block, kind, outputs: shape[0], inputs: shape[1], group: name, tokens: 16384, signal: 1e6, candidates: cells,
        rule: applied === null ? 1 : kind === 'down_proj' ? 0 : 'default',
        asked: applied, applied, fallback: null, note: null, damping: applied === null ? null : 0.01, loss: null,
        achieved: applied === null ? null : finite((cells[applied]?.sqnr_db ?? 20) - 0.7 + random() * 0.8, bitsOf(applied)),
        accumulated: null,
        bits_per_weight: applied === null ? 16 : bitsOf(applied),
    };
}

/** Layers of `blocks` decoder blocks and an output head. */
export function layersOf(blocks: number, candidates: readonly string[] = CANDIDATES): LayerResult[] {
    const random = noise(7);
    const layers = Array.from({ length: blocks }, (_, block) =>
        Object.entries(shapes).map(([name, shape]) => layer(`model.layers.${String(block)}.${name}`, block, shape, candidates, random)),
    ).flat();
    return [...layers, layer('lm_head', null, [4096, 256], candidates, random)];
}

/** Six blocks with one layer of each rare state: a fallback, a failed candidate, an exact layer, a silent one. */
export function sampleLayers(): LayerResult[] {
    const layers = layersOf(6);
    const change = (name: string, edit: (found: LayerResult) => LayerResult): void => {
        const index = layers.findIndex((each) => each.name === name);
        const found = layers[index];
        if (!found) throw new Error(`The fixture has no layer ${name}.`);
        layers[index] = edit(found);
    };
    const reason = 'The Gram matrix is not positive definite even with damping 1.0.';
    change('model.layers.2.self_attn.k_proj', (found) => ({ ...found, applied: 'rtn-w4a16', fallback: reason }));
    change('model.layers.4.mlp.up_proj', (found) => ({
        ...found,
        candidates: { ...found.candidates, 'gptq-w2a16': { ...finite(4.31, 2.125), damping: 1, fallback: reason } },
    }));
    const exact: Measurement = { ...finite(0, 8.125), noise: 0, sqnr_db: null, state: 'infinite' };
    change('model.layers.0.self_attn.v_proj', (found) => ({ ...found, candidates: { ...found.candidates, 'rtn-w8a16': exact } }));
    const silent: Measurement = { ...exact, state: 'zero-signal' };
    change('model.layers.5.self_attn.o_proj', (found) => ({
        ...found,
        signal: 0,
        candidates: Object.fromEntries(CANDIDATES.map((label) => [label, { ...silent, bits_per_weight: bitsOf(label) }])),
        achieved: silent,
    }));
    return layers;
}

export function resultOf(layers: LayerResult[], candidates: readonly string[] = CANDIDATES): Result {
    const score = { samples: 64, tokens: 16320 };
    return {
        format: 1, run: '20260101T120000Z-mixed', action: 'run', recipe: '/ws/samples/mixed.quant.yaml',
        model: '/ws/samples/checkpoints/tiny-llama-pydoc', architecture: 'LlamaForCausalLM', output: '/ws/samples/output/tiny-llama-mixed',
        candidates: [...candidates], layers,
        sizes: { original_bytes: 9_842_176, quantized_bytes: 4_201_600, bits_per_weight: 5.31, model_bits_per_weight: 6.83 },
        scores: {
            perplexity: { value: 13.472, standard_error: 0.214, ...score },
            baseline_perplexity: { value: 13.105, standard_error: 0.209, ...score },
            perplexity_ratio: { value: 1.028, standard_error: 0.0011, ...score },
            kl: { value: 0.0312, standard_error: 0.0008, ...score },
            same_top: { value: 0.9134, standard_error: 0.0022, ...score },
        },
        predicted_loss: null, pareto: null, problems: [], measured_by: {}, importance_by: null, identity: {},
        calibration_tokens: 16384, seconds: { measure: 12.4, quantize: 20.1, evaluate: 9.8, write: 0.6 }, peak_memory_bytes: 7e8,
    };
}

export function runOf(change: Partial<RunRecord> = {}): RunRecord {
    return {
        format: 1, run: '20260101T120000Z-mixed', action: 'run', recipe: '/ws/samples/mixed.quant.yaml',
        model: '/ws/samples/checkpoints/tiny-llama-pydoc', output: null, state: 'done', progress: null,
        created: '2026-01-01T12:00:00Z', updated: new Date().toISOString(), finished: '2026-01-01T12:00:43Z',
        pid: 1, pid_started: 1, host: 'box', device: 'cpu', environment: {}, measurement: null, resumable: false, error: null, advice: null,
        log: 'run.log', ...change,
    };
}

export function snapshotOf(change: Partial<Snapshot> = {}): Snapshot {
    return {
        type: 'snapshot', version: PANEL_PROTOCOL_VERSION, runDirectory: '/ws/samples/runs/20260101T120000Z-mixed',
        run: runOf(), stoppable: false, result: null, live: null, strings: {}, locale: 'en', ...change,
    };
}

export function sampleSnapshot(): Snapshot {
    return snapshotOf({ run: runOf({ state: 'done-with-fallbacks' }), result: resultOf(sampleLayers()) });
}

/** Methods of every kind with labels of every length, and a note on each layer that was scaled. */
export function mixedSnapshot(): Snapshot {
    const candidates = ['gptq-w4a16', 'awq-w4a16(rounding=gptq)', 'awq-w3a16-g64(clip=False, rounding=gptq)', 'smoothquant-fp8_dynamic', 'smoothquant-w8a8(strength=0.8)',
        'fp8_dynamic', 'fp8_block', 'rtn-nvfp4a16', 'rtn-w4a16-channel(range=mse)', 'gptq-w3a16-g32(damping=0.05, actorder=none)'];
    const [, long = ''] = candidates;
    const layers = layersOf(3, candidates).map((each) => (each.applied === null ? each : { ...each, asked: long, applied: long, note: 'Scaled by the inputs to the power of 0.35.' }));
    return snapshotOf({ result: resultOf(layers, candidates) });
}

/** A run that has measured three blocks and is in the middle of the fourth; one candidate of its last layer is missing. */
export function liveSnapshot(): Snapshot {
    const measured = layersOf(6).slice(0, 24);
    const layers = Object.fromEntries(
        measured.map((each, index) => {
            const cells = Object.entries(each.candidates).slice(0, index === measured.length - 1 ? 4 : undefined);
            return [each.name, Object.fromEntries(cells)];
        }),
    );
    const run = runOf({ state: 'running', finished: null, progress: { phase: 'measure', done: 3, total: 6, unit: 'blocks', doing: 'model.layers.3.mlp.gate_proj, up_proj: gptq-w3a16', seconds_left: 95 } });
    return snapshotOf({ run, live: { layers, candidates: CANDIDATES } });
}

export function failedSnapshot(): Snapshot {
    const error = {
        severity: 'error', code: 'disk-full', layer: null, line: null, column: null, end_line: null, end_column: null,
        message: 'Writing /work/samples/output/tiny-llama-mixed/model.safetensors needs 4.2 MB, but its disk has 1.1 MB free.',
    } as const;
    const advice = 'Free some room or set another output folder, then resume the run: finished layers are kept.';
    return { ...liveSnapshot(), run: runOf({ state: 'failed', error, advice, resumable: true }) };
}

/** 1,500 layers × 8 candidates. */
export function largeSnapshot(): Snapshot {
    const candidates = [...CANDIDATES, 'rtn-w4a16-g32', 'gptq-w4a16-g32'];
    const layers = layersOf(215, candidates).slice(0, 1500);
    return snapshotOf({ result: resultOf(layers, candidates) });
}
