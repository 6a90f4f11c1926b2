/** Geometry of the map in CSS pixels, free of the DOM. x runs over columns, y over rows with a gap before each new block. */
export interface Columns {
    /** Width of the block numbers. */
    readonly gutter: number;
    /** Gutter and layer names together: cells begin here. */
    readonly labels: number;
    readonly cell: number;
    readonly count: number;
    /** Extra space before the last column when it stands apart, else 0. */
    readonly apart: number;
    /** Room for a word after the cells, or 0. */
    readonly note: number;
    readonly width: number;
}

export interface Rows {
    readonly height: number;
    readonly tops: Float64Array;
    readonly total: number;
}

export const ROW_HEIGHT = 22;
export const BLOCK_GAP = 7;
const CELL_LIMITS = { least: 46, most: 104 };
const APART = 12;
const MARGIN = 4;
/** Left and right of the word after the cells. */
export const NOTE_PADDING = 8;

/** `labelText` and `noteText` are the widths of the longest texts there; neither takes the room of the cells. */
export function layoutColumns(count: number, lastApart: boolean, available: number, labelText: number, noteText = 0): Columns {
    const gutter = 44;
    const names = Math.min(Math.max(72, labelText + 14), Math.max(96, available * 0.34 - gutter));
    const labels = Math.round(gutter + names);
    const apart = lastApart && count > 1 ? APART : 0;
    const note = noteText > 0 ? Math.ceil(Math.min(noteText, Math.max(96, available * 0.22))) + 2 * NOTE_PADDING : 0;
    const room = (available - labels - apart - note - MARGIN) / Math.max(1, count);
    const cell = Math.floor(Math.min(CELL_LIMITS.most, Math.max(CELL_LIMITS.least, room)));
    return { gutter, labels, cell, count, apart, note, width: labels + apart + cell * count + note };
}

export function columnLeft(columns: Columns, column: number): number {
    return columns.labels + column * columns.cell + (column === columns.count - 1 ? columns.apart : 0);
}

/** Rows from the block number of each; a gap goes before a row whose block differs from the one above, if blocks are kept together. */
export function layoutRows(blocks: readonly (number | null)[], grouped: boolean): Rows {
    const tops = new Float64Array(blocks.length);
    let y = 0;
    blocks.forEach((block, row) => {
        if (grouped && row > 0 && block !== blocks[row - 1]) y += BLOCK_GAP;
        tops[row] = y;
        y += ROW_HEIGHT;
    });
    return { height: ROW_HEIGHT, tops, total: y };
}

/** Last row that begins at or above y; −1 above the first. */
export function rowBefore(rows: Rows, y: number): number {
    let low = 0;
    let high = rows.tops.length;
    while (low < high) {
        const middle = (low + high) >>> 1;
        if ((rows.tops[middle] ?? 0) <= y) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}

/** Half-open range of rows that touch y…y+height. */
export function visibleRows(rows: Rows, y: number, height: number): { readonly first: number; readonly end: number } {
    return { first: Math.max(0, rowBefore(rows, y)), end: rowBefore(rows, y + height) + 1 };
}

/** Half-open range of columns that touch the visible part, given the horizontal scroll offset. */
export function visibleColumns(columns: Columns, offset: number, width: number): { readonly first: number; readonly end: number } {
    const first = Math.floor((offset - columns.apart) / columns.cell);
    const end = Math.ceil((offset + width - columns.labels) / columns.cell);
    return { first: Math.max(0, first), end: Math.min(columns.count, Math.max(0, end)) };
}

/** The cell at a point of the whole map; column −1 over the labels, null in gaps and outside. */
export function hit(columns: Columns, rows: Rows, x: number, y: number): { readonly row: number; readonly column: number } | null {
    const row = rowBefore(rows, y);
    if (row < 0 || y >= (rows.tops[row] ?? 0) + rows.height) return null;
    if (x < columns.labels) return { row, column: -1 };
    for (const column of [Math.floor((x - columns.labels) / columns.cell), columns.count - 1]) {
        const left = columnLeft(columns, column);
        if (column >= 0 && column < columns.count && x >= left && x < left + columns.cell) return { row, column };
    }
    return null;
}

/** The scroll offset nearest to the present one that shows start…end whole, where the first `covered` pixels hide under something. */
export function scrollFor(offset: number, start: number, end: number, covered: number, size: number): number {
    if (start - covered < offset) return Math.max(0, start - covered);
    return end > offset + size ? end - size : offset;
}
