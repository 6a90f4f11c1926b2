// The sensitivity panel, as it is on the screen: what the map is painted with, what the table says.
import type { FrameLocator, Locator } from 'playwright-core';
import { until, type Workbench } from '../../rig';

export interface TableCell {
    readonly layer: string;
    readonly candidate: string;
    readonly text: string;
    readonly exact: string;
}

export class SensitivityView {
    constructor(private readonly workbench: Workbench) {}

    get frame(): FrameLocator {
        return this.workbench.panels.only;
    }

    get map(): Locator {
        return this.frame.locator('quant-heat-map');
    }

    get table(): Locator {
        return this.frame.locator('quant-layer-table table');
    }

    async shown(): Promise<void> {
        await this.frame.locator('quant-run-header').waitFor();
    }

    /** Colours that fill areas of the map, most used first; the edges of letters are too small to count. */
    async colors(): Promise<string[]> {
        return this.map.locator('canvas').evaluate((element) => {
            const canvas = element as HTMLCanvasElement;
            if (canvas.width === 0 || canvas.height === 0) return [];
            // Read from a copy: reading the map's own canvas back would change how the browser draws it.
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
            if (!copy) return [];
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            const counts = new Map<string, number>();
            for (let at = 0; at < data.length; at += 4) {
                const color = data.subarray(at, at + 4).join(' ');
                counts.set(color, (counts.get(color) ?? 0) + 1);
            }
            return [...counts].filter(([, count]) => count >= 150).sort((a, b) => b[1] - a[1]).map(([color]) => color);
        });
    }

    async waitForColors(atLeast: number, timeout?: number): Promise<string[]> {
        return until(`a map with at least ${atLeast} colours`, async () => {
            const colors = await this.colors();
            return colors.length >= atLeast ? colors : Promise.reject(new Error(`${colors.length} colours`));
        }, timeout);
    }

    /** Every measurement that the table shows. */
    async cells(): Promise<TableCell[]> {
        return this.table.locator('td[data-candidate]').evaluateAll((cells) => cells.map((element) => {
            const { layer = '', candidate = '', value = '' } = (element as HTMLElement).dataset;
            return { layer, candidate, text: element.textContent.trim(), exact: value };
        }));
    }

    /** Where the keyboard is: the innermost focused element's attributes and text. */
    async focused(): Promise<{ tag: string; text: string; data: Record<string, string> }> {
        return this.frame.locator('body').evaluate(() => {
            let active = document.activeElement;
            while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
            return {
                tag: active?.localName ?? '', text: active?.textContent?.trim() ?? '',
                data: active instanceof HTMLElement ? { ...active.dataset } as Record<string, string> : {},
            };
        });
    }

    /** Presses Tab until the focus is where it should be; so it also shows that the keyboard can get there. */
    async tabTo(what: string, isThere: (focused: Awaited<ReturnType<SensitivityView['focused']>>) => boolean): Promise<void> {
        const passed: string[] = [];
        for (let presses = 0; presses < 25; presses++) {
            const focused = await this.focused();
            if (isThere(focused)) return;
            passed.push(`${focused.tag} ${focused.text.slice(0, 20)}`);
            await this.workbench.page.keyboard.press('Tab');
        }
        throw new Error(`Tab does not lead to ${what}; it passed ${passed.join(', ')}.`);
    }
}
