export interface GridPosition {
    /** −1 is the header row. */
    readonly row: number;
    readonly column: number;
}

export interface GridSize {
    readonly rows: number;
    readonly columns: number;
    /** Rows that Page Up and Page Down move by. */
    readonly page: number;
    /** −1 when the header row can be entered, else 0. */
    readonly firstRow: -1 | 0;
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Where a key leads in a grid, by the ARIA grid pattern; null when the key does not navigate. */
export function moveInGrid(from: GridPosition, key: string, control: boolean, size: GridSize): GridPosition | null {
    const last = { row: size.rows - 1, column: size.columns - 1 };
    if (last.row < 0 || last.column < 0) return null;
    const to = target(from, key, control, size, last);
    return to && { row: clamp(to.row, size.firstRow, last.row), column: clamp(to.column, 0, last.column) };
}

function target(from: GridPosition, key: string, control: boolean, size: GridSize, last: GridPosition): GridPosition | null {
    const { row, column } = from;
    switch (key) {
        case 'ArrowUp':
            return { row: control ? 0 : row - 1, column };
        case 'ArrowDown':
            return { row: control ? last.row : row + 1, column };
        case 'ArrowLeft':
            return { row, column: control ? 0 : column - 1 };
        case 'ArrowRight':
            return { row, column: control ? last.column : column + 1 };
        case 'Home':
            return { row: control ? 0 : row, column: 0 };
        case 'End':
            return { row: control ? last.row : row, column: last.column };
        case 'PageUp':
            return { row: Math.max(0, row - size.page), column };
        case 'PageDown':
            return { row: row + size.page, column };
        default:
            return null;
    }
}
