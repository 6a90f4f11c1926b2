import type { Measurement } from '../../protocol/generated/result';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { fallbackOf, isInUse, noiseShare, parameters, WRITTEN, type Model, type Row } from './model';

/** A candidate's label as people read it. */
export function columnTitle(column: string): string {
    return column === WRITTEN ? t('As written') : column;
}

/** Where a label may wrap: `awq-`, `w4a16`, `(rounding=`, `gptq`, `(damping=`, `1e-05))`; a hyphen inside the parentheses is a sign. */
export function partsOf(label: string): string[] {
    return label.split(/(?<=^[^(]*-|[=,])|(?=\()/);
}

/** The number in a cell, or the sign that stands for its state; empty where nothing was measured. */
export function cellText(measurement: Measurement | null, formats: Formats, digits: number): string {
    if (!measurement) return '';
    if (measurement.state === 'infinite') return '∞';
    if (measurement.state === 'zero-signal' || measurement.sqnr_db === null) return '–';
    return formats.fixed(measurement.sqnr_db, digits);
}

/** What a screen reader says for a cell's value. */
export function spokenValue(measurement: Measurement | null, formats: Formats): string {
    if (!measurement) return t('not measured');
    if (measurement.state === 'infinite') return t('no error at all');
    if (measurement.state === 'zero-signal' || measurement.sqnr_db === null) return t('no signal');
    return `${formats.fixed(measurement.sqnr_db, 2)} dB`;
}

/** Layer, candidate, value and marks in one line. */
export function cellLabel(model: Model, row: Row, column: number, formats: Formats): string {
    const candidate = model.columns[column] ?? '';
    const measurement = row.cells[column] ?? null;
    const parts = [row.name, columnTitle(candidate), spokenValue(measurement, formats)];
    if (candidate === WRITTEN && row.applied !== null) parts.push(row.applied);
    if (isInUse(model, row, column)) parts.push(row.applied === null ? t('asked for') : t('applied'));
    if (fallbackOf(row, candidate, measurement) !== null) parts.push(t('fallback'));
    return parts.join(', ');
}

export interface Fact {
    readonly label: string;
    readonly value: string;
    readonly warning?: boolean;
    /** About the layer, the same for all of its cells. */
    readonly aside?: boolean;
}

/** What the column of written weights shows. */
export function writtenHint({ weightsOnly }: Model): string {
    return weightsOnly ? t('SQNR of the written weights alone') : t('SQNR of the written weights, on the inputs of the quantized network');
}

export interface Details {
    readonly title: string;
    readonly subtitle: string | null;
    readonly facts: readonly Fact[];
}

/** Everything known about a cell, or about the layer alone (column −1), for the card beside it. */
export function detailsOf(model: Model, row: Row, column: number, formats: Formats): Details {
    const candidate = model.columns[column];
    const measurement = row.cells[column] ?? null;
    const subtitle = candidate === undefined ? null : columnTitle(candidate);
    const facts = candidate === undefined ? [] : measurementFacts(row, candidate, measurement, formats);
    return { title: row.name, subtitle, facts: [...facts, ...layerFacts(row, formats, candidate !== undefined)] };
}

function measurementFacts(row: Row, candidate: string, measurement: Measurement | null, formats: Formats): Fact[] {
    if (!measurement) return [{ label: t('SQNR'), value: t('not measured') }];
    const facts: Fact[] = [{ label: measurement.of === 'weights' ? t('SQNR of the weights alone') : t('SQNR'), value: spokenValue(measurement, formats) }];
    const share = noiseShare(measurement);
    if (share !== null && share > 0) {
        facts.push({ label: t('Noise share'), value: formats.percent(share, share < 0.001 ? 4 : share < 0.1 ? 2 : 1) });
    }
    facts.push({ label: t('Bits per weight'), value: formats.bits(measurement.bits_per_weight) });
    const damping = measurement.damping ?? (candidate === WRITTEN ? row.damping : null);
    if (damping !== null) facts.push({ label: t('Damping'), value: formats.percent(damping, damping < 0.001 ? 3 : 1) });
    const fallback = fallbackOf(row, candidate, measurement);
    if (fallback !== null) facts.push({ label: t('Fallback'), value: fallback, warning: true });
    return facts;
}

function layerFacts(row: Row, formats: Formats, aside: boolean): Fact[] {
    const facts: Fact[] = [];
    const count = parameters(row);
    if (row.shape && count !== null) {
        const shape = `${formats.integer(row.shape.outputs)} × ${formats.integer(row.shape.inputs)}`;
        facts.push({ label: t('Shape'), value: t('{0}, {1} weights', shape, formats.integer(count)), aside });
    }
    if (row.tokens !== null && row.tokens > 0) facts.push({ label: t('Calibration tokens'), value: formats.integer(row.tokens), aside });
    if (row.asked !== null && row.asked === row.applied) {
        facts.push({ label: t('Applied'), value: row.applied });
    } else if (row.asked !== null || row.applied !== null) {
        facts.push({ label: t('Asked → applied'), value: `${row.asked ?? t('kept')} → ${row.applied ?? t('kept')}` });
    } else if (row.shape) {
        facts.push({ label: t('Asked → applied'), value: t('kept as it is') });
    }
    if (row.note !== null) facts.push({ label: t('Note'), value: row.note });
    return facts;
}
