import { strict as assert } from 'node:assert';
import { isLow } from '../../../webview/sensitivity/lowPanel';

describe('whether the panel is low', () => {
    const widths = Array.from({ length: 140 }, (_, index) => 200 + index * 10);

    it('is said of low panels only, and the earlier the narrower they are', () => {
        const switches = widths.map((width) => Array.from({ length: 1500 }, (_, height) => height).find((height) => !isLow({ width, height }, false)) ?? -1);
        assert.ok(switches.every((height) => height > 300 && height < 1000));
        assert.deepEqual(switches, switches.toSorted((one, other) => other - one));
    });

    it('stays as it was when a size goes back and forth by a few pixels', () => {
        for (const width of widths) {
            for (let height = 200; height < 1200; height++) {
                if (isLow({ width, height }, false)) continue;
                for (const [dx, dy] of [[0, -16], [-16, 0], [-16, -16]] as const) {
                    const smaller = { width: width + dx, height: height + dy };
                    if (!isLow(smaller, false)) continue;
                    assert.equal(isLow({ width, height }, true), true, `${String(width)}×${String(height)}`);
                    assert.equal(isLow(smaller, true), true);
                }
            }
        }
    });
});
