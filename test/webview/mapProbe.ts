import type { Page } from 'playwright-core';

interface Cell {
    readonly layer: string;
    readonly candidate: string;
}

/** The middle of a cell on the page. The map is a canvas, so its geometry is asked of the element itself. */
export async function cellPoint(page: Page, cell: Cell): Promise<{ x: number; y: number }> {
    return page.locator('quant-heat-map').evaluate((element, wanted) => {
        interface Inside extends Element {
            readonly rows: readonly { readonly name: string }[];
            readonly model: { readonly columns: readonly string[] };
            readonly layout: { readonly tops: Float64Array; readonly height: number };
        }
        const map = element as unknown as Inside;
        const row = map.rows.findIndex(({ name }) => name === wanted.layer);
        const title = map.shadowRoot?.querySelector(`#head-${String(map.model.columns.indexOf(wanted.candidate))}`);
        const stage = map.shadowRoot?.querySelector('.stage');
        if (!title || !stage || row < 0) throw new Error(`The map shows no ${wanted.layer}, ${wanted.candidate}.`);
        const { left, width } = title.getBoundingClientRect();
        return { x: left + width / 2, y: stage.getBoundingClientRect().top + (map.layout.tops[row] ?? 0) + map.layout.height / 2 };
    }, cell);
}

/** The colour of a cell's ground, left of its text and right of a warning. */
export async function mapColor(page: Page, cell: Cell): Promise<string> {
    const { x, y } = await cellPoint(page, cell);
    return page.locator('quant-heat-map canvas').evaluate(
        (element, point) => {
            const canvas = element as HTMLCanvasElement;
            const box = canvas.getBoundingClientRect();
            const ratio = window.devicePixelRatio;
            // Read from a copy: reading the map's own canvas back would change how the browser draws it.
            const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
            copy?.drawImage(canvas, (point.x - 30 - box.left) * ratio, (point.y - box.top) * ratio, 1, 1, 0, 0, 1, 1);
            return copy ? [...copy.getImageData(0, 0, 1, 1).data].join(' ') : '';
        },
        { x, y },
    );
}
