import { largeSnapshot, sampleSnapshot, type Snapshot } from './fixture';
import { bundlePanel, launch, openPanel } from './harness';

/** Measures the panel with 1,500 layers × 8 candidates: first paint, longest frame while scrolling, sorting and moving. Prints figures. */
async function main(): Promise<void> {
    const browser = await launch();
    const bundle = await bundlePanel();
    process.stdout.write(`bundle ${(bundle.byteLength / 1024).toFixed(1)} KiB\n`);
    for (const [name, snapshot] of [['43 layers', sampleSnapshot()], ['1,500 layers', largeSnapshot()]] as const) {
        for (const view of ['map', 'table'] as const) {
            const panel = await openPanel(browser, bundle, {
                state: { v: 1, runDirectory: snapshot.runDirectory, view, sort: 'order', descending: false, selection: null },
            });
            const paint = await panel.page.evaluate(firstPaint, snapshot);
            const boot = await panel.page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN);
            const frames = await panel.page.evaluate(exercise, view);
            process.stdout.write(`${name}, ${view}: page ${boot.toFixed(0)} ms, data to paint ${paint.toFixed(0)} ms, longest frame ${frames.toFixed(0)} ms\n`);
            await panel.close();
        }
    }
    await browser.close();
}

/** From the arrival of a snapshot to the frame that shows it. */
function firstPaint(data: Snapshot): Promise<number> {
    return new Promise((resolve) => {
        window.addEventListener('message', () => {
            const start = performance.now();
            // The panel's own listener ran before; the first frame after the next one has its pixels.
            requestAnimationFrame(() => requestAnimationFrame(() => {
                resolve(performance.now() - start);
            }));
        }, { once: true });
        window.postMessage(data, '*');
    });
}

/** Scrolls to the end, walks by keyboard, sorts; the longest time between two frames meanwhile. */
async function exercise(view: 'map' | 'table'): Promise<number> {
    const element = document.querySelector('quant-sensitivity')?.shadowRoot?.querySelector(view === 'map' ? 'quant-heat-map' : 'quant-layer-table');
    const root = element?.shadowRoot;
    const scroller = root?.querySelector('.scroller');
    if (!root || !scroller) return Number.NaN;
    let longest = 0;
    let last = performance.now();
    const frame = (): Promise<void> => new Promise((resolve) => requestAnimationFrame(() => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        resolve();
    }));
    await frame();
    last = performance.now();
    longest = 0;
    for (let step = 1; step <= 60; step++) {
        scroller.scrollTop = (scroller.scrollHeight * step) / 60;
        await frame();
    }
    const target = view === 'map' ? scroller : root.querySelector('td[tabindex], td');
    for (const key of ['Home', ...Array<string>(30).fill('PageDown'), 'End', 'Home']) {
        target?.dispatchEvent(new KeyboardEvent('keydown', { key, ctrlKey: key === 'Home' || key === 'End', bubbles: true }));
        await frame();
    }
    for (const title of root.querySelectorAll<HTMLElement>('[role=columnheader].title, th.sortable')) {
        title.click();
        await frame();
        await frame();
    }
    return longest;
}

await main();
