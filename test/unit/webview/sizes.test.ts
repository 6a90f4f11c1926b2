import { strict as assert } from 'node:assert';
import type { Browser } from 'playwright-core';
import { sampleLayers, sampleSnapshot } from '../../webview/fixture';
import { bundlePanel, launch, openPanel, type Panel, type PanelOptions } from '../../webview/harness';
import { cellPoint } from '../../webview/mapProbe';
import { countMutations, cutOff } from '../../webview/layoutProbe';

const steps = (from: number, to: number, by: number): number[] => Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);
/** VS Code pads the page of a panel by 20 pixels left and right. */
const PADDING = 40;

describe('the sensitivity panel at every size', function () {
    this.timeout(120_000);
    let browser: Browser;
    let bundle: Uint8Array;
    const open: Panel[] = [];

    const shown = async (options: PanelOptions): Promise<Panel> => {
        const panel = await openPanel(browser, bundle, options);
        open.push(panel);
        await panel.send(sampleSnapshot());
        return panel;
    };

    before(async () => {
        [browser, bundle] = await Promise.all([launch(), bundlePanel()]);
    });
    after(() => browser.close());
    afterEach(() => Promise.all(open.splice(0).map((panel) => panel.close())));

    it('comes to rest: nothing changes in it when nothing happens', async () => {
        const restless: string[] = [];
        let switched = 0;
        // One page for each width, side by side, because each size is watched for a whole second.
        await Promise.all(steps(300, 900, 40).map(async (width) => {
            const { page } = await shown({ width: width + PADDING, height: 900 });
            const resize = (height: number): Promise<void> => page.setViewportSize({ width: width + PADDING, height });
            const mutations = async (height: number, watch: number): Promise<number> => {
                await resize(height);
                if ((await page.evaluate(countMutations, { settle: 120, watch })) === 0) return 0;
                // A busy machine draws late; what never comes to rest changes once more.
                return page.evaluate(countMutations, { settle: 1000, watch: 1000 });
            };
            const check = async (height: number): Promise<void> => {
                const count = await mutations(height, 1000);
                if (count > 0) restless.push(`${String(width)}×${String(height)}: ${String(count)}`);
            };
            const heights = [...steps(250, 890, 40), 900, 980];
            let before = -1;
            for (const height of heights) {
                await check(height);
                const together = await page.locator('quant-heat-map > .top').count();
                // Where the arrangement changes, the edge itself is looked for: a defect may show at a few pixels only.
                if (before === 1 && together === 0) {
                    switched++;
                    for (const near of steps(height - 40, height, 4)) {
                        if ((await mutations(near, 150)) > 0) restless.push(`${String(width)}×${String(near)}`);
                    }
                }
                before = together;
            }
        }));
        assert.deepEqual(restless, []);
        assert.ok(switched > 0, 'both arrangements were seen');
    });

    for (const [width, height] of [[1000, 700], [720, 900], [400, 500]] as const) {
        it(`does not make the page longer when a cell is clicked, ${String(width)}×${String(height)}`, async () => {
            const { page } = await shown({ width, height });
            const lengths = (): Promise<number[]> => page.evaluate(() => {
                const scroller = document.querySelector('quant-sensitivity')?.shadowRoot?.querySelector('quant-heat-map')?.shadowRoot?.querySelector('.scroller');
                const all = [document.scrollingElement, document.querySelector('quant-sensitivity'), scroller];
                return all.flatMap((each) => [each?.scrollWidth ?? -1, each?.scrollHeight ?? -1]);
            });
            const before = await lengths();
            assert.deepEqual(before.slice(0, 2), [width, height]);
            const layer = sampleLayers()[0]?.name ?? '';
            await page.locator('quant-heat-map .scroller').evaluate((scroller) => {
                scroller.scrollTop = scroller.querySelector<HTMLElement>('.above')?.offsetHeight ?? 0;
            });
            const point = await cellPoint(page, { layer, candidate: 'rtn-w8a16' });
            await page.mouse.click(point.x, point.y);
            await page.locator('quant-heat-map [role=row].spoken').waitFor({ state: 'attached' });
            assert.deepEqual(await lengths(), before);
        });
    }

    it('shows legend, key figures and toolbar whole at every width', async () => {
        const { page } = await shown({ height: 900 });
        const wrong: string[] = [];
        for (const width of [...steps(280, 1160, 40), 1300, 1500, 1700]) {
            await page.setViewportSize({ width, height: 900 });
            for (const scale of ['all', 'column']) {
                const cut = await page.evaluate(cutOff, ['quant-legend', 'quant-key-figures', 'quant-view-toolbar']);
                const sideways = await page.locator('quant-sensitivity').evaluate((panel) => panel.scrollWidth - panel.clientWidth);
                if (sideways > 0) wrong.push(`${String(width)}: the panel scrolls sideways`);
                wrong.push(...cut.map((text) => `${String(width)}, scale ${scale}: ${text}`));
                await page.locator('quant-legend button').click();
            }
        }
        assert.deepEqual(wrong, []);
    });
});
