import { strict as assert } from 'node:assert';
import { cardPlace, type CardRoom } from '../../../webview/sensitivity/detailCard';

const room = (changes: Partial<CardRoom> = {}): CardRoom => ({ width: 480, height: 500, top: 60, mapRight: 470, ...changes });
const cell = (x: number, y: number): { x: number; y: number; width: number; height: number } => ({ x, y, width: 60, height: 22 });

describe('where the card stands', () => {
    it('is beside the map, at the height of the row but inside, where there is room', () => {
        const wide = room({ width: 1000, mapRight: 600 });
        assert.deepEqual([300, 60, 478].map((y) => cardPlace({ width: 300, height: 200 }, wide, cell(200, y))).map(({ x, y }) => [x, y]), [[606, 211], [606, 0], [606, 300]]);
    });

    it('is never over the row, nor over the column titles, and is cut where it is too high', () => {
        for (const height of [80, 150, 260, 600]) {
            for (let y = 60; y <= 478; y += 22) {
                const place = cardPlace({ width: 220, height }, room(), cell(200, y));
                const end = place.y + Math.min(height, place.maxHeight);
                assert.ok(end <= y || place.y >= y + 22, `${String(height)} at ${String(y)}`);
                assert.ok(place.y >= 60 - 6 && end <= 500, `${String(height)} at ${String(y)}`);
            }
        }
    });

    it('leaves the column free on the side with more room', () => {
        for (const x of [150, 230, 300, 410]) {
            const { x: left, maxWidth } = cardPlace({ width: 380, height: 100 }, room(), cell(x, 100));
            const right = left + Math.min(380, maxWidth);
            if (x <= 200) assert.ok(left >= x + 60 && right <= 480, String(x));
            else if (x >= 210) assert.ok(right <= x || left >= x + 60, String(x));
        }
    });
});
