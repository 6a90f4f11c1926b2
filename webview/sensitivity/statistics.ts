import type { Measurement } from '../../protocol/generated/result';
import { parameters, type Model, type Row } from './model';

/** What one column says over all its layers. dB figures leave out layers without a finite value; those are counted. */
export interface ColumnSummary {
    readonly minimum: number | null;
    readonly median: number | null;
    /** Arithmetic mean of the dB values, that is, the geometric mean of the ratios. */
    readonly mean: number | null;
    /** Average over the weights of the measured layers. */
    readonly bits: number | null;
    /** Layers that use it. */
    readonly chosen: number;
    readonly infinite: number;
    readonly zeroSignal: number;
}

/** Quantile by linear interpolation between order statistics; the values must be sorted and not empty. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
    const at = (sorted.length - 1) * share;
    const below = Math.floor(at);
    const low = sorted[below] ?? Number.NaN;
    const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low;
    return low + (high - low) * (at - below);
}

/** All finite dB values of the given columns, ascending. */
export function finiteValues(rows: readonly Row[], columns: readonly number[]): Float64Array {
    const values: number[] = [];
    for (const row of rows) {
        for (const column of columns) {
            const value = row.cells[column]?.sqnr_db;
            if (value !== null && value !== undefined) values.push(value);
        }
    }
    return Float64Array.from(values).sort();
}

export function summarize(model: Model): ColumnSummary[] {
    return model.columns.map((_, column) => summarizeColumn(model.rows, column));
}

function summarizeColumn(rows: readonly Row[], column: number): ColumnSummary {
    const sorted = finiteValues(rows, [column]);
    const empty = sorted.length === 0;
    const cells = rows.map((row) => row.cells[column] ?? null);
    return {
        minimum: empty ? null : quantile(sorted, 0),
        median: empty ? null : quantile(sorted, 0.5),
        mean: empty ? null : sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
        bits: averageBits(rows, cells),
        chosen: rows.filter((row) => row.chosen === column).length,
        infinite: cells.filter((cell) => cell?.state === 'infinite').length,
        zeroSignal: cells.filter((cell) => cell?.state === 'zero-signal').length,
    };
}

/** By weights where the shapes are known; a live run tells none, then by layers. */
function averageBits(rows: readonly Row[], cells: readonly (Measurement | null)[]): number | null {
    const known = rows.every((row) => row.shape !== null);
    let bits = 0;
    let weights = 0;
    cells.forEach((cell, index) => {
        const row = rows[index];
        if (!cell || !row) return;
        const weight = known ? (parameters(row) ?? 0) : 1;
        bits += cell.bits_per_weight * weight;
        weights += weight;
    });
    return weights > 0 ? bits / weights : null;
}

export interface Weakest {
    readonly row: Row;
    readonly column: number;
    readonly value: number;
}

/** The layer that the quantization hurts most: of the written weights where there are any, else of the chosen candidates. */
export function weakest(model: Model, written: number): Weakest | null {
    let found: Weakest | null = null;
    for (const row of model.rows) {
        const column = written >= 0 ? written : row.chosen;
        const value = row.cells[column]?.sqnr_db;
        if (value !== null && value !== undefined && (!found || value < found.value)) found = { row, column, value };
    }
    return found;
}
