import type { Page } from 'playwright-core';
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
            const processorTime = await processorClock(panel.page);
            // Handed over beforehand, so that Playwright's own work is not measured.
            const data = await panel.page.evaluateHandle((value) => value, snapshot);
            const before = await processorTime();
            const paint = await panel.page.evaluate(firstPaint, data);
            const busy = (await processorTime()) - before;
            const boot = await panel.page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN);
            const frames = await panel.page.evaluate(exercise, view);
            const figures = Object.entries(frames).map(([phase, milliseconds]) => `${phase} ${milliseconds.toFixed(0)}`);
            process.stdout.write(`${name}, ${view}: page ${boot.toFixed(0)} ms, data to paint ${paint.toFixed(0)} ms (main thread busy ${busy.toFixed(0)} ms), longest frames in ms: ${figures.join(', ')}\n`);
            await panel.close();
        }
    }
    await browser.close();
}

/** Processor time of the page's main thread so far, in ms; unlike the clock it does not count what other programs take. */
async function processorClock(page: Page): Promise<() => Promise<number>> {
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    return async () => {
        const { metrics } = await session.send('Performance.getMetrics');
        return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN) * 1000;
    };
}

/** From the sending of a snapshot to the frame that shows it. */
function firstPaint(data: Snapshot): Promise<number> {
    return new Promise((resolve) => {
        const start = performance.now();
        window.addEventListener('message', () => {
            // The panel's own listener ran before; when the second frame begins, the first has been painted.
            requestAnimationFrame(() => requestAnimationFrame(() => {
                resolve(performance.now() - start);
            }));
        }, { once: true });
        window.postMessage(data, '*');
    });
}

/** Scrolls to the end, walks by keyboard, sorts; the longest time between two frames of each. */
async function exercise(view: 'map' | 'table'): Promise<Record<string, number>> {
    const element = document.querySelector('quant-sensitivity')?.shadowRoot?.querySelector(view === 'map' ? 'quant-heat-map' : 'quant-layer-table');
    const root = element?.shadowRoot;
    const scroller = root?.querySelector('.scroller');
    if (!root || !scroller) throw new Error(`The panel shows no ${view}.`);
    const longest: Record<string, number> = {};
    let last = performance.now();
    const frame = (phase: string): Promise<void> => new Promise((resolve) => requestAnimationFrame(() => {
        const now = performance.now();
        longest[phase] = Math.max(longest[phase] ?? 0, now - last);
        last = now;
        resolve();
    }));
    await frame('settling');
    await frame('settling');
    for (let step = 1; step <= 60; step++) {
        scroller.scrollTop = (scroller.scrollHeight * step) / 60;
        await frame('scrolling');
    }
    const target = view === 'map' ? root.querySelector('[role=grid]') : root.querySelector('td');
    for (const key of ['Home', ...Array<string>(30).fill('PageDown'), 'End', 'Home']) {
        target?.dispatchEvent(new KeyboardEvent('keydown', { key, ctrlKey: key === 'Home' || key === 'End', bubbles: true }));
        await frame('keyboard');
    }
    for (const title of root.querySelectorAll<HTMLElement>('[role=columnheader].title, th.sortable')) {
        title.click();
        const phase = `sort ${title.innerText.split('\n')[0] ?? ''}`;
        await frame(phase);
        await frame(phase);
    }
    return longest;
}

await main();
