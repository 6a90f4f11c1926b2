import { strict as assert } from 'node:assert';
import { moveInGrid } from '../../../webview/shared/gridKeys';
import { BLOCK_GAP, columnLeft, hit, layoutColumns, layoutRows, ROW_HEIGHT, scrollFor, visibleColumns, visibleRows } from '../../../webview/sensitivity/layout';

const rows = layoutRows([0, 0, 1, 1, null], true);

describe('map geometry', () => {
    it('leaves a gap before each new block, and none when rows are sorted', () => {
        assert.deepEqual([...rows.tops], [0, ROW_HEIGHT, 2 * ROW_HEIGHT + BLOCK_GAP, 3 * ROW_HEIGHT + BLOCK_GAP, 4 * ROW_HEIGHT + 2 * BLOCK_GAP]);
        assert.equal(rows.total, 5 * ROW_HEIGHT + 2 * BLOCK_GAP);
        assert.equal(layoutRows([0, 1, 0], false).total, 3 * ROW_HEIGHT);
    });

    it('gives columns the room there is, within limits', () => {
        const narrow = layoutColumns(8, true, 400, 90);
        const wide = layoutColumns(2, false, 2000, 90);
        assert.ok(narrow.width > 400 && narrow.cell >= 40);
        assert.ok(wide.cell <= 120 && wide.width < 2000);
        const fitting = layoutColumns(8, true, 900, 90);
        assert.ok(fitting.width <= 900);
    });

    it('gives a long word after the cells no more than its share', () => {
        assert.equal(layoutColumns(4, true, 900, 90, 80).note, 80 + 16);
        assert.ok(layoutColumns(4, true, 900, 90, 700).note <= 900 / 4);
        assert.ok(layoutColumns(4, true, 300, 90, 700).note >= 96);
    });

    it('finds every cell at its own middle and nothing in a gap', () => {
        const columns = layoutColumns(4, true, 700, 90);
        for (let row = 0; row < 5; row++) {
            for (let column = 0; column < 4; column++) {
                const x = columnLeft(columns, column) + columns.cell / 2;
                assert.deepEqual(hit(columns, rows, x, (rows.tops[row] ?? 0) + ROW_HEIGHT / 2), { row, column });
            }
        }
        assert.deepEqual(hit(columns, rows, 5, 5), { row: 0, column: -1 });
        assert.equal(hit(columns, rows, columns.labels + 5, 2 * ROW_HEIGHT + BLOCK_GAP / 2), null);
        assert.equal(hit(columns, rows, columnLeft(columns, 3) - columns.apart / 2, 5), null);
        assert.equal(hit(columns, rows, columns.width + 1, 5), null);
        assert.equal(hit(columns, rows, columns.labels + 5, -1), null);
        assert.equal(hit(columns, rows, columns.labels + 5, rows.total + 1), null);
    });

    it('paints exactly the rows and columns that show', () => {
        const many = layoutRows(Array.from({ length: 1500 }, (_, index) => Math.floor(index / 7)), true);
        const { first, end } = visibleRows(many, 5000, 400);
        for (let row = 0; row < 1500; row++) {
            const top = many.tops[row] ?? 0;
            const shows = top <= 5400 && top + ROW_HEIGHT > 5000;
            if (shows) assert.ok(row >= first && row < end, `row ${String(row)} shows and is painted`);
        }
        assert.ok(end - first <= 400 / ROW_HEIGHT + 2);
        const columns = layoutColumns(40, false, 800, 90);
        const range = visibleColumns(columns, 500, 800);
        for (let column = 0; column < 40; column++) {
            const left = columnLeft(columns, column) - 500;
            if (left < 800 && left + columns.cell > columns.labels) assert.ok(column >= range.first && column < range.end);
        }
        assert.ok(range.end - range.first < 40);
    });

    it('scrolls no further than needed to show something whole', () => {
        assert.equal(scrollFor(100, 150, 170, 40, 300), 100);
        assert.equal(scrollFor(100, 120, 140, 40, 300), 80);
        assert.equal(scrollFor(100, 390, 410, 40, 300), 110);
        assert.equal(scrollFor(0, 10, 30, 40, 300), 0);
    });

    it('works with no rows and no columns', () => {
        const none = layoutRows([], true);
        assert.deepEqual(visibleRows(none, 0, 500), { first: 0, end: 0 });
        assert.equal(hit(layoutColumns(0, false, 500, 0), none, 10, 10), null);
    });
});

describe('grid keys', () => {
    const size = { rows: 10, columns: 4, page: 5, firstRow: -1 } as const;
    const move = (key: string, control = false, from = { row: 3, column: 2 }): readonly number[] | null => {
        const to = moveInGrid(from, key, control, size);
        return to && [to.row, to.column];
    };

    it('follow the ARIA grid pattern', () => {
        assert.deepEqual(move('ArrowUp'), [2, 2]);
        assert.deepEqual(move('ArrowDown'), [4, 2]);
        assert.deepEqual(move('ArrowLeft'), [3, 1]);
        assert.deepEqual(move('ArrowRight'), [3, 3]);
        assert.deepEqual(move('Home'), [3, 0]);
        assert.deepEqual(move('End'), [3, 3]);
        assert.deepEqual(move('Home', true), [0, 0]);
        assert.deepEqual(move('End', true), [9, 3]);
        assert.deepEqual(move('PageDown'), [8, 2]);
        assert.deepEqual(move('PageUp'), [0, 2]);
    });

    it('stop at the edges, reach the header, and leave other keys alone', () => {
        assert.deepEqual(move('ArrowRight', false, { row: 3, column: 3 }), [3, 3]);
        assert.deepEqual(move('PageDown', false, { row: 9, column: 0 }), [9, 0]);
        assert.deepEqual(move('ArrowUp', false, { row: 0, column: 1 }), [-1, 1]);
        assert.deepEqual(move('ArrowUp', false, { row: -1, column: 1 }), [-1, 1]);
        for (const key of ['Tab', 'a', 'Enter', 'Escape']) assert.equal(move(key), null, key);
        assert.equal(moveInGrid({ row: 0, column: 0 }, 'End', false, { ...size, rows: 0 }), null);
    });
});
