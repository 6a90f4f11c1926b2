import type { HostMessage } from '../../protocol/panel';
import type { LayerResult, Measurement } from '../../protocol/generated/result';

/** The pseudo-candidate that stands for the written weights, measured on the quantized network's own inputs. */
export const WRITTEN = 'achieved';

/** One layer as the panel shows it. What a live run has not told yet is null. */
export interface Row {
    readonly name: string;
    readonly block: number | null;
    /** Name within its block, or the full name. */
    readonly label: string;
    readonly shape: { readonly outputs: number; readonly inputs: number } | null;
    readonly group: string | null;
    readonly tokens: number | null;
    /** By column; null where nothing was measured. */
    readonly cells: readonly (Measurement | null)[];
    readonly asked: string | null;
    readonly applied: string | null;
    readonly fallback: string | null;
    /** What is worth knowing of a layer that got what was asked. */
    readonly note: string | null;
    readonly damping: number | null;
    readonly bits: number | null;
    /** The column of the method in force: applied, or asked while nothing is applied yet; −1: no column shows it. */
    readonly chosen: number;
}

export interface Model {
    /** Candidate labels, then `WRITTEN` when weights were written. */
    readonly columns: readonly string[];
    readonly rows: readonly Row[];
    /** Whether rows may still be added. */
    readonly live: boolean;
    /** Whether measurements are of weights alone: the recipe has no calibration data. */
    readonly weightsOnly: boolean;
}

type Snapshot = Extract<HostMessage, { type: 'snapshot' }>;

const running = new Set(['starting', 'running', 'cancelling']);

export function isRunning(snapshot: Snapshot): boolean {
    return running.has(snapshot.run.state);
}

/** What there is to show: the result where the run has written one, else what its events have told so far. */
export function modelOf(snapshot: Snapshot): Model {
    const live = isRunning(snapshot);
    if (snapshot.result) {
        const { layers, candidates } = snapshot.result;
        const written = layers.some((layer) => layer.achieved !== null);
        const columns = written ? [...candidates, WRITTEN] : candidates;
        return modelFrom(columns, layers.map((layer) => finishedRow(layer, columns)), live);
    }
    const columns = snapshot.live?.candidates ?? [];
    const rows = Object.entries(snapshot.live?.layers ?? {}).map(([name, cells]) => liveRow(name, cells, columns));
    return modelFrom(columns, rows, live);
}

function modelFrom(columns: readonly string[], rows: readonly Row[], live: boolean): Model {
    return { columns, rows, live, weightsOnly: rows.some(({ cells }) => cells.some((cell) => cell?.of === 'weights')) };
}

function finishedRow(layer: LayerResult, columns: readonly string[]): Row {
    return {
        name: layer.name,
        block: layer.block,
        label: shortName(layer.name, layer.block),
        shape: { outputs: layer.outputs, inputs: layer.inputs },
        group: layer.group,
        tokens: layer.tokens,
        cells: columns.map((column) => (column === WRITTEN ? layer.achieved : own(layer.candidates, column))),
        asked: layer.asked,
        applied: layer.applied,
        fallback: layer.fallback,
        note: layer.note,
        damping: layer.damping,
        bits: layer.bits_per_weight,
        chosen: columns.indexOf(layer.applied ?? layer.asked ?? ''),
    };
}

function liveRow(name: string, cells: LayerResult['candidates'], columns: readonly string[]): Row {
    const block = blockOf(name);
    return {
        name,
        block,
        label: shortName(name, block),
        shape: null,
        group: null,
        tokens: null,
        cells: columns.map((column) => own(cells, column)),
        asked: null,
        applied: null,
        fallback: null,
        note: null,
        damping: null,
        bits: null,
        chosen: -1,
    };
}

function own(cells: LayerResult['candidates'], column: string): Measurement | null {
    return Object.hasOwn(cells, column) ? (cells[column] ?? null) : null;
}

/** The first number in a module name: events carry names only. */
export function blockOf(name: string): number | null {
    const digits = /(?:^|\.)(\d+)\./.exec(name)?.[1];
    return digits === undefined ? null : Number(digits);
}

/** `model.layers.3.mlp.up_proj` in block 3 → `mlp.up_proj`. */
export function shortName(name: string, block: number | null): string {
    if (block === null) return name;
    const mark = `.${String(block)}.`;
    const at = name.indexOf(mark);
    return at < 0 ? name : name.slice(at + mark.length);
}

/**
 * How many characters all names of layers in blocks begin with, up to the block's number at most: what follows tells them apart
 * (`model.layers.3.mlp.up_proj` → `3.mlp.up_proj`). Names outside the blocks stay whole.
 */
export function commonStart(rows: readonly Row[]): (row: Row) => number {
    const starts = rows.flatMap(({ name, block }) => (block === null ? [] : [name.slice(0, name.indexOf(`.${String(block)}.`) + 1)]));
    const [first = '', ...others] = new Set(starts);
    let length = first.length;
    for (const other of others) while (!other.startsWith(first.slice(0, length))) length = length < 2 ? 0 : first.lastIndexOf('.', length - 2) + 1;
    return (row) => (row.block === null ? 0 : length);
}

/** Whether a cell shows the method in use. One that no candidate stands for is marked where its result is: in the last column. */
export function isInUse({ columns }: Model, row: Row, column: number): boolean {
    return row.chosen === column || (row.chosen < 0 && row.applied !== null && columns[column] === WRITTEN);
}

export function parameters(row: Row): number | null {
    return row.shape && row.shape.outputs * row.shape.inputs;
}

/** Share of the signal's energy that is noise: 10^(−dB/10). */
export function noiseShare(measurement: Measurement): number | null {
    if (measurement.state === 'infinite') return 0;
    return measurement.sqnr_db === null ? null : 10 ** (-measurement.sqnr_db / 10);
}

/** Why this cell deserves a warning glyph: the candidate could not do as asked, or the layer got another method than asked. */
export function fallbackOf(row: Row, column: string, measurement: Measurement | null): string | null {
    if (measurement?.fallback) return measurement.fallback;
    return row.fallback !== null && (column === row.asked || column === WRITTEN) ? row.fallback : null;
}
