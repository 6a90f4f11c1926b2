import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../../scripts/lib/paths.mjs';
import { contrast, fromOklab, inkOn, luminance, mix, parseColor, toHex, toOklab, type Rgb } from '../../../webview/shared/color';
import { bandsOf, rampOf } from '../../../webview/sensitivity/scale';

const color = (text: string): Rgb => {
    const parsed = parseColor(text);
    assert.ok(parsed, `${text} is a colour`);
    return parsed;
};

interface Manifest {
    readonly contributes: { readonly colors: readonly { readonly id: string; readonly defaults: Readonly<Record<string, string>> }[] };
}

describe('colours', () => {
    it('reads every spelling that VS Code hands over and nothing else', () => {
        assert.equal(toHex(color('#5b2a6e')), '#5b2a6e');
        assert.equal(toHex(color(' #FFF ')), '#ffffff');
        assert.equal(toHex(color('#11223380')), '#112233');
        assert.equal(toHex(color('rgb(17, 34, 51)')), '#112233');
        assert.equal(toHex(color('rgba(17, 34, 51, 0.5)')), '#112233');
        for (const text of ['', 'red', '#12345', 'rgb(1, 2)', 'rgb(a, b, c)']) assert.equal(parseColor(text), null, text);
    });

    it('converts to OKLab as its author does', () => {
        // Ottosson's published values for pure red.
        const { l, a, b } = toOklab(color('#ff0000'));
        assert.ok(Math.abs(l - 0.62796) < 1e-4 && Math.abs(a - 0.22486) < 1e-4 && Math.abs(b - 0.12585) < 1e-4);
        const white = toOklab(color('#ffffff'));
        assert.ok(Math.abs(white.l - 1) < 1e-6 && Math.abs(white.a) < 1e-6 && Math.abs(white.b) < 1e-6);
        for (const text of ['#123456', '#e9d55c', '#00ff00']) assert.equal(toHex(fromOklab(toOklab(color(text)))), text);
    });

    it('mixes by equal steps of lightness', () => {
        const from = color('#5b2a6e');
        const to = color('#e9d55c');
        const middle = toOklab(mix(from, to, 0.5)).l;
        assert.ok(Math.abs(middle - (toOklab(from).l + toOklab(to).l) / 2) < 1e-6);
        assert.equal(toHex(mix(from, to, 0)), '#5b2a6e');
        assert.equal(toHex(mix(from, to, 7)), '#e9d55c');
    });

    it('computes WCAG contrast', () => {
        assert.ok(Math.abs(contrast(color('#000'), color('#fff')) - 21) < 1e-9);
        assert.ok(Math.abs(contrast(color('#777777'), color('#ffffff')) - 4.478) < 0.001);
    });

    it('writes on any colour with at least 4.5 : 1', () => {
        for (let red = 0; red < 256; red += 15) {
            for (let green = 0; green < 256; green += 15) {
                for (let blue = 0; blue < 256; blue += 15) {
                    const ground = color(`rgb(${String(red)}, ${String(green)}, ${String(blue)})`);
                    assert.ok(contrast(ground, color(inkOn(ground))) >= 4.5, toHex(ground));
                }
            }
        }
    });
});

describe('the contributed heat colours', () => {
    const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
    const stop = (id: string, theme: string): Rgb => color(manifest.contributes.colors.find((each) => each.id === id)?.defaults[theme] ?? '');

    for (const theme of ['dark', 'light', 'highContrast', 'highContrastLight']) {
        it(`grow steadily lighter, so that their order survives any colour blindness (${theme})`, () => {
            const ramp = rampOf(stop('quant.heatLow', theme), stop('quant.heatMiddle', theme), stop('quant.heatHigh', theme));
            const steps = Array.from({ length: 33 }, (_, step) => luminance(color(ramp.at(step / 32).fill)));
            steps.slice(1).forEach((value, index) => {
                assert.ok(value > (steps[index] ?? 0), `step ${String(index + 1)} is not lighter than the one before`);
            });
        });
    }

    for (const theme of ['highContrast', 'highContrastLight']) {
        it(`are bands in ${theme}: each text reads at 7 : 1, each band is told from the next by lightness`, () => {
            const ramp = bandsOf(stop('quant.heatLow', theme), stop('quant.heatMiddle', theme), stop('quant.heatHigh', theme));
            const fills = ramp.samples.map(color);
            for (const share of [0, 0.2, 0.5, 0.8, 1]) assert.ok(ramp.samples.includes(ramp.at(share).fill));
            for (const fill of fills) assert.ok(contrast(fill, color(inkOn(fill))) >= 7, toHex(fill));
            fills.slice(1).forEach((fill, index) => {
                const before = fills[index];
                assert.ok(before && luminance(fill) > luminance(before) && contrast(fill, before) >= 1.3, toHex(fill));
            });
        });
    }

    it('are bands that hold whatever colours somebody sets, in either order', () => {
        for (const ends of [['#000000', '#777777', '#ffffff'], ['#ff0000', '#808080', '#00ff00'], ['#ffffff', '#0000ff', '#000000']]) {
            const [low, middle, high] = ends.map(color) as [Rgb, Rgb, Rgb];
            const fills = bandsOf(low, middle, high).samples.map(color);
            for (const fill of fills) assert.ok(contrast(fill, color(inkOn(fill))) >= 7, `${ends.join()}: ${toHex(fill)}`);
            assert.equal(luminance(fills[0] as Rgb) <= luminance(fills[6] as Rgb), luminance(low) <= luminance(high));
        }
    });
});
