import type { SortKey } from '../../protocol/panel';
import type { Measurement } from '../../protocol/generated/result';
import type { Model, Row } from './model';

const names = new Intl.Collator('en', { numeric: true });

export function candidateKey(candidate: string): SortKey {
    return `candidate:${candidate}`;
}

/** The rows in the wanted order. Rows without a value come last in both directions: they are not the answer to either question. */
export function sortRows(model: Model, key: SortKey, descending: boolean): readonly Row[] {
    const { rows } = model;
    if (key === 'order') return descending ? rows.toReversed() : rows;
    const sign = descending ? -1 : 1;
    if (key === 'name') return rows.toSorted((one, other) => sign * names.compare(one.name, other.name));
    const column = model.columns.indexOf(key.slice('candidate:'.length));
    if (column < 0) return rows;
    return rows.toSorted((one, other) => {
        const x = magnitude(one.cells[column] ?? null);
        const y = magnitude(other.cells[column] ?? null);
        if (x === null || y === null) return Number(x === null) - Number(y === null);
        return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
}

function magnitude(measurement: Measurement | null): number | null {
    if (!measurement || measurement.state === 'zero-signal') return null;
    return measurement.state === 'infinite' ? Number.POSITIVE_INFINITY : measurement.sqnr_db;
}

/** A click on a column: first its natural order (candidates: worst first), then the reverse, then the model's order again. */
export function nextSort(current: SortKey, descending: boolean, clicked: SortKey): { key: SortKey; descending: boolean } {
    if (clicked !== current) return { key: clicked, descending: false };
    if (!descending) return { key: clicked, descending: true };
    return { key: 'order', descending: false };
}
