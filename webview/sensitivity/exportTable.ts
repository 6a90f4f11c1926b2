import { decimals } from '../../protocol/decimals';
import type { Measurement } from '../../protocol/generated/result';
import { WRITTEN, type Model, type Row } from './model';

/** Exact value of a measurement as text that other programs read: a number, `inf`, or empty. */
export function exactValue(measurement: Measurement | null): string {
    if (!measurement || measurement.state === 'zero-signal') return '';
    if (measurement.state === 'infinite') return 'inf';
    return measurement.sqnr_db === null ? '' : String(measurement.sqnr_db);
}

const fixedColumns = ['layer', 'block', 'outputs', 'inputs'];
const outcomeColumns = ['asked', 'applied', 'fallback', 'achieved_db', 'damping', 'bits_per_weight'];

function candidatesOf(model: Model): readonly number[] {
    return model.columns.flatMap((label, index) => (label === WRITTEN ? [] : [index]));
}

function text(value: string | number | null): string {
    return value === null ? '' : String(value);
}

function fields(model: Model, row: Row, value: (measurement: Measurement | null) => string): string[] {
    const achieved = model.columns.indexOf(WRITTEN);
    return [
        row.name,
        text(row.block),
        text(row.shape?.outputs ?? null),
        text(row.shape?.inputs ?? null),
        ...candidatesOf(model).map((index) => value(row.cells[index] ?? null)),
        text(row.asked),
        text(row.applied),
        text(row.fallback),
        value(row.cells[achieved] ?? null),
        text(row.damping),
        text(row.bits),
    ];
}

function head(model: Model): string[] {
    return [...fixedColumns, ...candidatesOf(model).map((index) => `${model.columns[index] ?? ''}_db`), ...outcomeColumns];
}

/** RFC 4180 with exact values and English column names: for programs, so independent of the display language. */
export function toCsv(model: Model, rows: readonly Row[]): string {
    const quote = (field: string): string => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
    const lines = [head(model), ...rows.map((row) => fields(model, row, exactValue))];
    return lines.map((line) => line.map(quote).join(',') + '\r\n').join('');
}

/** A GitHub-flavoured Markdown table with two decimals: for people. */
export function toMarkdown(model: Model, rows: readonly Row[]): string {
    const value = (measurement: Measurement | null): string => {
        if (measurement?.state === 'infinite') return '∞';
        return typeof measurement?.sqnr_db === 'number' ? decimals(measurement.sqnr_db, 2) : measurement ? '–' : '';
    };
    const escape = (field: string): string => field.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll(/\r?\n/g, ' ');
    const line = (cells: readonly string[]): string => `| ${cells.map(escape).join(' | ')} |\n`;
    const titles = head(model);
    const numeric = (index: number): boolean => index > 0 && !['asked', 'applied', 'fallback'].includes(titles[index] ?? '');
    const rule = `| ${titles.map((_, index) => (numeric(index) ? '---:' : '---')).join(' | ')} |\n`;
    return line(titles) + rule + rows.map((row) => line(fields(model, row, value))).join('');
}
