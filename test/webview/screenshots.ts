import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { failedSnapshot, largeSnapshot, liveSnapshot, runOf, sampleSnapshot, snapshotOf, type Snapshot } from './fixture';
import { bundlePanel, launch, openPanel, type Panel, type PanelOptions } from './harness';
import { themes, type ThemeName } from './themes';

async function snapshotOfRun(directory: string): Promise<Snapshot> {
    const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(path.join(directory, name), 'utf8'));
    return snapshotOf({ run: (await read('run.json')) as Snapshot['run'], result: (await read('result.json')) as Snapshot['result'] });
}

/** Takes pictures of the panel in all themes and states, into the folder given; with a run directory also of that run. */
async function main([folder = 'screenshots', run]: readonly string[]): Promise<void> {
    await mkdir(folder, { recursive: true });
    const browser = await launch();
    const bundle = await bundlePanel();
    const shoot = async (name: string, options: PanelOptions, act: (panel: Panel) => Promise<void>): Promise<void> => {
        const panel = await openPanel(browser, bundle, options);
        await act(panel);
        await panel.page.screenshot({ path: path.join(folder, `${name}.png`) });
        for (const complaint of panel.complaints) process.stderr.write(`${name}: ${complaint}\n`);
        await panel.close();
    };
    if (run !== undefined) {
        const snapshot = await snapshotOfRun(run);
        for (const theme of ['dark', 'light'] as const) {
            await shoot(`run-${theme}`, { theme }, (panel) => panel.send(snapshot));
            await shoot(`run-columns-${theme}`, { theme }, async (panel) => {
                await panel.send(snapshot);
                await panel.page.locator('quant-legend button').click();
                await panel.page.mouse.move(0, 0);
            });
        }
    }
    for (const theme of Object.keys(themes) as ThemeName[]) {
        await shoot(`map-${theme}`, { theme }, async (panel) => {
            await panel.send(sampleSnapshot());
            await panel.page.mouse.move(430, 560);
            await panel.page.waitForTimeout(50);
        });
        await shoot(`table-${theme}`, { theme }, async (panel) => {
            await panel.send(sampleSnapshot());
            await panel.page.locator('[data-view=table]').click();
        });
    }
    await shoot('map-focus', { theme: 'dark', scale: 2 }, async (panel) => {
        await panel.send(sampleSnapshot());
        await panel.page.locator('quant-heat-map [role=grid]').focus();
        for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'ArrowRight']) await panel.page.keyboard.press(key);
    });
    await shoot('map-sorted', { theme: 'light' }, async (panel) => {
        await panel.send(sampleSnapshot());
        await panel.page.locator('#head-2').click();
    });
    await shoot('narrow', { theme: 'dark', width: 500 }, (panel) => panel.send(sampleSnapshot()));
    await shoot('narrow-table', { theme: 'light', width: 500 }, async (panel) => {
        await panel.send(sampleSnapshot());
        await panel.page.locator('[data-view=table]').click();
    });
    await shoot('wide', { theme: 'light', width: 1600, height: 1000 }, (panel) => panel.send(sampleSnapshot()));
    await shoot('large', { theme: 'dark' }, async (panel) => {
        await panel.send(largeSnapshot());
        await panel.page.mouse.move(500, 500);
        await panel.page.mouse.wheel(0, 4000);
        await panel.page.waitForTimeout(80);
    });
    await shoot('live', { theme: 'dark' }, (panel) => panel.send(liveSnapshot()));
    await shoot('live-light', { theme: 'light' }, (panel) => panel.send(liveSnapshot()));
    await shoot('failed', { theme: 'dark' }, (panel) => panel.send(failedSnapshot()));
    await shoot('failed-light', { theme: 'light' }, (panel) => panel.send(failedSnapshot()));
    await shoot('empty', { theme: 'dark' }, (panel) => panel.send(snapshotOf({ run: runOf({ state: 'starting', finished: null }) })));
    await shoot('loading', { theme: 'light' }, () => Promise.resolve());
    await shoot('gone', { theme: 'light' }, (panel) =>
        panel.send({ type: 'gone', version: 1, runDirectory: '/ws/samples/runs/20260101T120000Z-mixed', reason: 'Its directory was deleted.' }));
    await shoot('cancelled', { theme: 'dark' }, (panel) => panel.send({ ...liveSnapshot(), run: runOf({ state: 'cancelled', resumable: true }) }));
    await shoot('stale', { theme: 'light' }, (panel) => {
        const live = liveSnapshot();
        return panel.send({ ...live, run: { ...live.run, updated: '2026-01-01T12:01:00Z' } });
    });
    await browser.close();
}

await main(process.argv.slice(2));
