import { strict as assert } from 'node:assert';
import type { Browser } from 'playwright-core';
import type { Scores } from '../../../protocol/generated/result';
import { isPanelMessage, type NewerRun, type SensitivityState } from '../../../protocol/panel';
import { until } from '../../helpers/wait';
import { CANDIDATES, failedSnapshot, largeSnapshot, liveSnapshot, mixedSnapshot, runOf, sampleLayers, sampleSnapshot, snapshotOf } from '../../webview/fixture';
import { bundlePanel, launch, openPanel, type Panel, type PanelOptions } from '../../webview/harness';
import { cellPoint, mapColor } from '../../webview/mapProbe';

describe('the sensitivity panel in a browser, under the strict policy', function () {
    this.timeout(60_000);
    let browser: Browser;
    let bundle: Uint8Array;
    let panel: Panel;

    const open = async (options: PanelOptions = {}): Promise<Panel> => (panel = await openPanel(browser, bundle, options));
    const shown = async (options: PanelOptions = {}): Promise<Panel> => {
        await open(options);
        await panel.send(sampleSnapshot());
        return panel;
    };
    const state = async (): Promise<SensitivityState | undefined> => (await panel.recorded()).states.at(-1);
    /** The text inside an element's shadow root, spaces evened out. */
    const textOf = (element: string): Promise<string> =>
        panel.page.locator(element).evaluate((host) => [...(host.shadowRoot?.children ?? [])].map((child) => child.textContent).join(' ').replaceAll(/\s+/g, ' '));
    const showTable = (): Promise<void> => panel.page.locator('[data-view=table]').click();

    before(async () => {
        [browser, bundle] = await Promise.all([launch(), bundlePanel()]);
    });
    after(() => browser.close());
    afterEach(async () => {
        const { complaints } = panel;
        const { messages } = await panel.recorded();
        await panel.close();
        assert.deepEqual(complaints, []);
        assert.ok(messages.every(isPanelMessage), 'every message is one that the host accepts');
    });

    it('fits into 250 KiB', async () => {
        await open();
        assert.ok(bundle.byteLength <= 250 * 1024, `${String(bundle.byteLength)} bytes`);
    });

    it('introduces itself once and keeps its state from the first paint', async () => {
        await open();
        const { messages, states } = await panel.recorded();
        assert.deepEqual(messages.map(({ type }) => type), ['ready']);
        assert.equal(states[0]?.v, 1);
        assert.match(await panel.page.locator('main').innerText(), /Loading/);
    });

    it('shows in its table what result.json says, to the digit', async () => {
        await shown();
        await showTable();
        for (const layer of sampleLayers()) {
            for (const candidate of CANDIDATES) {
                const cell = panel.page.locator(`td[data-layer="${layer.name}"][data-candidate="${candidate}"]`);
                const measurement = layer.candidates[candidate];
                const value = measurement?.sqnr_db ?? null;
                const text = value !== null ? value.toFixed(2) : measurement?.state === 'infinite' ? '∞' : '–';
                assert.equal(await cell.textContent(), text);
                const exact = value !== null ? String(value) : measurement?.state === 'infinite' ? 'inf' : '';
                assert.equal(await cell.getAttribute('data-value'), exact);
            }
        }
        const row = panel.page.locator('tr[data-layer="model.layers.2.self_attn.k_proj"]');
        assert.equal(await row.locator('[data-field=applied]').textContent(), 'rtn-w4a16');
        assert.equal(await row.locator('[data-field=asked]').textContent(), 'gptq-w4a16');
        assert.match((await row.locator('[data-field=achieved]').textContent()) ?? '', /^\d+\.\d\d$/);
    });

    it('sorts the table by a candidate and says so', async () => {
        await shown();
        await showTable();
        const title = panel.page.locator('th', { hasText: 'gptq-w4a16' });
        await title.click();
        assert.equal(await title.getAttribute('aria-sort'), 'ascending');
        const values = await panel.page.locator('tbody td[data-candidate="gptq-w4a16"]').evaluateAll((cells) => cells.map((cell) => Number(cell.getAttribute('data-value') || 'Infinity')));
        assert.deepEqual(values, values.toSorted((one, other) => one - other));
        assert.equal((await state())?.sort, 'candidate:gptq-w4a16');
    });

    it('walks the table with the keyboard and opens a layer with Enter', async () => {
        await shown();
        await showTable();
        await panel.page.locator('td[data-row="0"][data-candidate="rtn-w8a16"]').click();
        for (const key of ['ArrowDown', 'ArrowRight', 'Enter']) await panel.page.keyboard.press(key);
        const { messages } = await panel.recorded();
        assert.deepEqual(messages.at(-1), { type: 'open-layer', layer: 'model.layers.0.self_attn.k_proj' });
        assert.deepEqual((await state())?.selection, { layer: 'model.layers.0.self_attn.k_proj', candidate: 'rtn-w4a16' });
        assert.equal(await panel.page.locator('td[tabindex="0"], th[tabindex="0"]').count(), 1);
    });

    it('has in its map one tab stop, arrows, spoken cells, Enter and Escape', async () => {
        await shown();
        const grid = panel.page.locator('[role=grid]');
        await grid.focus();
        await panel.page.keyboard.press('Control+Home');
        for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight']) await panel.page.keyboard.press(key);
        const active = await grid.getAttribute('aria-activedescendant');
        const label = await panel.page.locator(`#${active ?? 'none'}`).getAttribute('aria-label');
        const [, layer] = sampleLayers();
        assert.equal(label, `${layer?.name ?? ''}, gptq-w4a16, ${layer?.candidates['gptq-w4a16']?.sqnr_db?.toFixed(2) ?? ''} dB, applied`);
        await panel.page.keyboard.press('Enter');
        assert.deepEqual((await panel.recorded()).messages.at(-1), { type: 'open-layer', layer: layer?.name });
        assert.equal(await panel.page.locator('quant-detail-card').count(), 1);
        await panel.page.keyboard.press('Escape');
        assert.equal(await panel.page.locator('quant-detail-card').count(), 0);
        await panel.page.keyboard.press('Escape');
        assert.equal((await state())?.selection, null);
        assert.equal(await panel.page.locator('quant-heat-map [tabindex="0"]').count(), 1);
    });

    it('sorts the map from its header row by keyboard', async () => {
        await shown();
        await panel.page.locator('[role=grid]').focus();
        for (const key of ['Control+Home', 'ArrowUp', 'Enter']) await panel.page.keyboard.press(key);
        assert.equal((await state())?.sort, `candidate:${CANDIDATES[0] ?? ''}`);
    });

    it('paints a cell in the colour of its value and repaints it when the theme changes', async () => {
        await shown({ theme: 'dark' });
        const at = { layer: 'model.layers.0.self_attn.q_proj', candidate: 'gptq-w2a16' };
        const before = await mapColor(panel.page, at);
        assert.notEqual(before, await mapColor(panel.page, { ...at, candidate: 'rtn-w8a16' }));
        await panel.setTheme('high-contrast');
        assert.notEqual(await mapColor(panel.page, at), before);
        await panel.setTheme('dark');
        assert.equal(await mapColor(panel.page, at), before);
    });

    it('shows a card for the cell under the pointer', async () => {
        await shown();
        const point = await cellPoint(panel.page, { layer: 'model.layers.0.mlp.down_proj', candidate: 'gptq-w4a16' });
        await panel.page.mouse.move(point.x, point.y);
        const card = panel.page.locator('quant-detail-card');
        const text = await textOf('quant-detail-card');
        const layer = sampleLayers().find(({ name }) => name === 'model.layers.0.mlp.down_proj');
        for (const part of ['model.layers.0.mlp.down_proj', 'gptq-w4a16', `${layer?.candidates['gptq-w4a16']?.sqnr_db?.toFixed(2) ?? ''} dB`, '256 × 640', 'Applied']) {
            assert.ok(text.includes(part), `${part} in ${text}`);
        }
        const box = await card.boundingBox();
        assert.ok(box && (box.x > point.x || box.x + box.width < point.x), 'the card leaves the column free');
    });

    it('lets the keyboard lead until the pointer really moves, wherever it rests', async () => {
        await shown({ height: 420 });
        const card = (): Promise<string> => textOf('quant-detail-card');
        const at = await cellPoint(panel.page, { layer: 'model.layers.0.self_attn.v_proj', candidate: 'rtn-w4a16' });
        await panel.page.mouse.move(at.x, at.y);
        assert.match(await card(), /model\.layers\.0\.self_attn\.v_proj rtn-w4a16/);
        await panel.page.locator('[role=grid]').focus();
        await panel.page.keyboard.press('Control+Home');
        for (let step = 0; step < 25; step++) await panel.page.keyboard.press('ArrowDown');
        // Scrolling brings other cells below the pointer, of which the browser tells like of a movement.
        await panel.page.waitForTimeout(200);
        const focused = (await state())?.selection;
        assert.equal(focused?.layer, sampleLayers()[25]?.name);
        assert.match(await card(), new RegExp(`${focused?.layer ?? ''} ${focused?.candidate ?? ''}`));
        await panel.page.evaluate(() => new Promise((resolve) => {
            const scroller = document.querySelector('quant-sensitivity')?.shadowRoot?.querySelector('quant-heat-map')?.shadowRoot?.querySelector('.scroller');
            scroller?.scrollBy(0, -22);
            setTimeout(resolve, 200);
        }));
        assert.match(await card(), new RegExp(focused?.layer ?? ''));
        await panel.page.mouse.move(at.x + 3, at.y);
        assert.doesNotMatch(await card(), new RegExp(focused?.layer ?? ''));
    });

    for (const [width, height] of [[1000, 700], [510, 780], [420, 420]] as const) {
        it(`keeps the row and the column of the focused cell free of its card, ${String(width)}×${String(height)}`, async () => {
            await shown({ width, height });
            await panel.page.locator('[role=grid]').focus();
            await panel.page.keyboard.press('Control+Home');
            for (let step = 0; step < 12; step++) {
                for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) if (step % 2 === 0 || key === 'ArrowDown') await panel.page.keyboard.press(key);
                await panel.page.waitForTimeout(40);
                const { selection } = (await state())!;
                const box = (await panel.page.locator('quant-detail-card').boundingBox())!;
                const { x, y } = await cellPoint(panel.page, selection!);
                assert.ok(box.y >= y + 11 || box.y + box.height <= y - 11 || box.x > x + 23, `${selection!.layer}: the card covers its row`);
                if (width >= 510) assert.ok(box.x > x || box.x + box.width < x, `${selection!.layer}, ${selection!.candidate}: the card covers its column`);
                assert.ok(box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height + 1, 'it is inside');
            }
        });
    }

    it('stands beside the map where there is room, and says more there', async () => {
        await shown({ width: 1400, height: 900 });
        const at = await cellPoint(panel.page, { layer: 'model.layers.0.mlp.down_proj', candidate: 'gptq-w4a16' });
        const last = await cellPoint(panel.page, { layer: 'model.layers.0.mlp.down_proj', candidate: 'achieved' });
        await panel.page.mouse.move(at.x, at.y);
        const card = panel.page.locator('quant-detail-card');
        assert.ok((await card.boundingBox())!.x > last.x + 23);
        assert.ok(await card.getByText('Calibration tokens').isVisible());
        await panel.page.setViewportSize({ width: 700, height: 900 });
        const moved = await cellPoint(panel.page, { layer: 'model.layers.0.mlp.up_proj', candidate: 'gptq-w4a16' });
        await panel.page.mouse.move(moved.x, moved.y);
        assert.equal(await card.getByText('Calibration tokens').isVisible(), false);
    });

    it('leaves most of a narrow panel to the map, and says on which text SQNR is measured', async () => {
        await open({ width: 510, height: 780 });
        const snapshot = sampleSnapshot();
        await panel.send({ ...snapshot, run: { ...snapshot.run, state: 'done' }, result: { ...snapshot.result!, layers: snapshot.result!.layers.map((layer) => ({ ...layer, fallback: null })) } });
        const figures = await panel.page.locator('quant-key-figures').boundingBox();
        assert.ok(figures!.height <= 60, `the key figures take ${String(figures!.height)} pixels`);
        const [first] = sampleLayers();
        const { y } = await cellPoint(panel.page, { layer: first!.name, candidate: 'gptq-w4a16' });
        assert.ok(y < 430, `the first layer is at ${String(y)}`);
        for (const view of ['map', 'table']) {
            await panel.page.locator(`[data-view=${view}]`).click();
            assert.match(await panel.page.locator('.caption').innerText(), /measured on the calibration text/);
        }
    });

    it('shows long labels of many candidates in full, and a layer’s note', async () => {
        await open();
        await panel.page.setViewportSize({ width: 820, height: 700 });
        await panel.send(mixedSnapshot());
        const titles = await panel.page.locator('quant-heat-map .title .text').evaluateAll((texts) =>
            texts.map((text) => ({ label: text.textContent, whole: text.scrollHeight <= text.clientHeight && text.scrollWidth <= text.clientWidth })));
        assert.deepEqual(titles.filter(({ whole }) => !whole), []);
        assert.deepEqual(titles.map(({ label }) => label), [...(mixedSnapshot().result?.candidates ?? []), 'As written']);
        const at = await cellPoint(panel.page, { layer: 'model.layers.0.self_attn.q_proj', candidate: 'gptq-w4a16' });
        await panel.page.mouse.move(at.x, at.y);
        assert.match(await textOf('quant-detail-card'), /Note\s*Scaled by the inputs to the power of 0\.35\./);
        await showTable();
        const applied = panel.page.locator('td', { hasText: 'awq-w4a16(rounding=gptq)' }).first();
        assert.equal(await applied.getAttribute('title'), 'Scaled by the inputs to the power of 0.35.');
    });

    it('comes back as it was left', async () => {
        const saved: SensitivityState = {
            v: 1, runDirectory: sampleSnapshot().runDirectory, view: 'table', sort: 'name', descending: true, selection: { layer: 'lm_head', candidate: 'rtn-w8a16' },
        };
        await shown({ state: saved });
        assert.deepEqual(await state(), saved);
        assert.equal(await panel.page.locator('tbody tr').first().getAttribute('data-layer'), 'model.layers.5.self_attn.v_proj');
        assert.equal(await panel.page.locator('tr.selected').getAttribute('data-layer'), 'lm_head');
    });

    it('forgets the selection, not the arrangement, when it is given another run', async () => {
        await shown({ state: { v: 1, runDirectory: '/elsewhere', view: 'table', sort: 'name', descending: false, selection: { layer: 'x', candidate: 'y' } } });
        const now = await state();
        assert.equal(now?.selection, null);
        assert.equal(now?.view, 'table');
        assert.equal(now?.runDirectory, sampleSnapshot().runDirectory);
    });

    it('begins as a table for a screen reader', async () => {
        await shown({ bodyClasses: 'vscode-using-screen-reader' });
        assert.equal(await panel.page.locator('table').count(), 1);
    });

    it('copies the table on demand of the host and by its own button', async () => {
        await shown();
        await panel.send({ type: 'copy-table', version: 1, format: 'csv' });
        await panel.page.locator('vscode-toolbar-button[icon=markdown]').click();
        const copied = (await panel.recorded()).messages.filter((message) => message.type === 'copied');
        assert.deepEqual(copied.map(({ format }) => format), ['csv', 'markdown']);
        assert.match(copied[0]?.text ?? '', /^layer,block,.*\r\nmodel\.layers\.0\./);
        assert.match(copied[1]?.text ?? '', /^\| layer \| block \|/);
    });

    it('follows a live run, offers to cancel it once, and speaks its progress', async () => {
        await open();
        await panel.send(liveSnapshot());
        assert.match(await textOf('quant-run-header'), /Measuring candidates: 3 of 6 blocks/);
        assert.match((await panel.page.locator('[aria-live=polite]').textContent()) ?? '', /3 of 6 blocks/);
        const button = panel.page.locator('quant-run-header vscode-button');
        await button.click();
        const { run } = liveSnapshot();
        await panel.send({ ...liveSnapshot(), run: { ...run, state: 'cancelling' } });
        await button.click({ force: true });
        assert.equal((await panel.recorded()).messages.filter(({ type }) => type === 'cancel').length, 1);
    });

    it('explains a failure and leads to the log', async () => {
        await open();
        await panel.send(failedSnapshot());
        assert.match(await textOf('quant-notice'), /disk has 1\.1 MB free[\s\S]*Free some room/);
        await panel.page.locator('quant-notice vscode-button', { hasText: 'Show Log' }).click();
        assert.deepEqual((await panel.recorded()).messages.at(-1), { type: 'show-log' });
    });

    it('offers to resume a run that was cancelled, and says when nothing had been measured', async () => {
        await open();
        const { run, ...snapshot } = liveSnapshot();
        const cancelled = { ...run, state: 'cancelled' as const, resumable: true };
        await panel.send({ ...snapshot, run: cancelled });
        assert.match(await textOf('quant-notice'), /What had been measured is shown below/);
        await panel.send({ ...snapshot, run: cancelled, live: null });
        assert.match(await textOf('quant-notice'), /Nothing had been measured yet/);
        await panel.page.locator('quant-notice vscode-button', { hasText: 'Resume' }).click();
        assert.deepEqual((await panel.recorded()).messages.at(-1), { type: 'resume' });
        await panel.send({ ...snapshot, run: { ...cancelled, resumable: false } });
        assert.equal(await panel.page.locator('quant-notice vscode-button').count(), 0);
    });

    it('points from an older result at the run that goes on, until there is none', async () => {
        await shown();
        const { runDirectory } = sampleSnapshot();
        const newer = (about: NewerRun | null): Promise<void> => panel.send({ type: 'newer', version: 1, runDirectory, newer: about });
        const notice = panel.page.locator('quant-notice', { hasText: 'newer run' });
        const text = notice.locator('.text');
        await newer({ state: 'running', progress: { phase: 'quantize', done: 2, total: 6, unit: 'blocks', doing: '', seconds_left: null } });
        assert.match((await text.innerText()).replaceAll(/\s+/g, ' '), /A newer run of this recipe is in progress Quantizing: 2 of 6 blocks/);
        assert.equal(await panel.page.locator('quant-heat-map').count(), 1, 'the older result stays');
        await notice.locator('vscode-button').click();
        assert.deepEqual((await panel.recorded()).messages.at(-1), { type: 'show-newer' });
        await newer({ state: 'done', progress: null });
        assert.match(await text.innerText(), /has a result/);
        await newer(null);
        assert.equal(await notice.count(), 0);
    });

    it('says what a run is doing and how long it may take', async () => {
        await open();
        await panel.send(liveSnapshot());
        const facts = await panel.page.locator('quant-run-header .facts').innerText();
        assert.match(facts, /^Measuring candidates: 3 of 6 blocks · model\.layers\.3\.mlp\.gate_proj, up_proj: gptq-w3a16 · about 1 min 35 s left · started/);
    });

    it('cancels once, and stops at once when that takes long', async () => {
        await open();
        const button = panel.page.locator('quant-run-header vscode-button');
        const press = async (name: string): Promise<unknown> => {
            assert.equal((await button.innerText()).trim(), name);
            await button.click();
            return (await panel.recorded()).messages.at(-1);
        };
        await panel.send(liveSnapshot());
        assert.deepEqual(await press('Cancel'), { type: 'cancel' });
        const cancelling = runOf({ state: 'cancelling', finished: null });
        await panel.send({ ...liveSnapshot(), run: cancelling });
        assert.equal((await button.innerText()).trim(), 'Cancelling…');
        assert.equal(await button.evaluate((element: HTMLElement & { disabled: boolean }) => element.disabled), true);
        await panel.send({ ...liveSnapshot(), run: cancelling, stoppable: true });
        assert.deepEqual(await press('Stop Now'), { type: 'stop' });
    });

    it('says when there is nothing yet, and when the run is gone', async () => {
        await open();
        await panel.send(snapshotOf({ run: runOf({ state: 'starting', finished: null }) }));
        assert.match(await panel.page.locator('main').innerText(), /Nothing measured yet/);
        await panel.send({ type: 'gone', version: 1, runDirectory: '/runs/x', reason: 'Its directory was deleted.' });
        assert.match(await panel.page.locator('main').innerText(), /no longer there[\s\S]*deleted[\s\S]*\/runs\/x/);
    });

    it('speaks the language of the host', async () => {
        await open();
        await panel.send({ ...sampleSnapshot(), strings: { Layer: 'Schicht', Table: 'Tabelle' }, locale: 'de' });
        await panel.page.getByRole('radio', { name: 'Tabelle' }).click();
        assert.equal(await panel.page.locator('th', { hasText: 'Schicht' }).count(), 1);
        assert.match((await panel.page.locator('td[data-candidate="gptq-w4a16"]').first().textContent()) ?? '', /^\d+,\d\d$/);
    });

    for (const view of ['map', 'table'] as const) {
        it(`scrolls as a whole where it is low, and reaches every row of the ${view} by keyboard`, async () => {
            await shown({ width: 600, height: 320 });
            if (view === 'table') await showTable();
            const scrollers = await panel.page.evaluate(scrollingElements);
            assert.deepEqual(scrollers, ['scroller']);
            const grid = panel.page.locator('[role=grid]');
            if (view === 'map') await grid.focus();
            else await panel.page.locator('td[data-row="0"][data-candidate="rtn-w8a16"]').click();
            const cell = (layer: string): Promise<{ y: number }> =>
                view === 'map'
                    ? cellPoint(panel.page, { layer, candidate: 'gptq-w4a16' })
                    : panel.page.locator(`td[data-layer="${layer}"]`).first().boundingBox().then((box) => ({ y: (box?.y ?? -1) + 1 }));
            const [first, last] = [sampleLayers()[0]?.name ?? '', sampleLayers().at(-1)?.name ?? ''];
            for (const [keys, layer] of [['Control+End', last], ['Control+Home', first]] as const) {
                await panel.page.keyboard.press(keys);
                await panel.page.waitForTimeout(100);
                const { y } = await cell(layer);
                assert.ok(y > 0 && y < 320, `${layer} at ${y}`);
            }
        });

        it(`leaves what stands above the ${view} where it is when the data scrolls sideways`, async () => {
            await shown({ width: 420, height: 320 });
            if (view === 'table') await showTable();
            const left = (): Promise<number | undefined> => panel.page.locator('quant-run-header').boundingBox().then((box) => box?.x);
            const before = await left();
            assert.ok((await panel.page.locator('.scroller').evaluate((scroller) => (scroller.scrollLeft = 120))) === 120);
            assert.equal(await left(), before);
            const widths = await Promise.all(['quant-run-header', '.scroller'].map((name) => panel.page.locator(name).evaluate(({ clientWidth }) => clientWidth)));
            assert.equal(widths[0], widths[1]);
        });
    }

    for (const height of [320, 700]) {
        it(`does not scroll the map sideways where it fits, ${height} pixels high`, async () => {
            await shown({ height });
            const { clientWidth, scrollWidth } = await panel.page.locator('.scroller').evaluate(({ clientWidth: seen, scrollWidth: whole }) => ({ clientWidth: seen, scrollWidth: whole }));
            assert.ok(clientWidth < 960, 'there is a scrollbar beside it');
            assert.equal(scrollWidth, clientWidth);
        });
    }

    it('names layers in the table by what tells them apart, and says their whole name', async () => {
        await shown();
        await showTable();
        const name = panel.page.locator('tr[data-layer="model.layers.2.self_attn.k_proj"] [data-field=name]');
        assert.equal(await name.textContent(), '2.self_attn.k_proj');
        assert.deepEqual([await name.getAttribute('title'), await name.getAttribute('aria-label')], Array(2).fill('model.layers.2.self_attn.k_proj'));
        assert.equal(await panel.page.locator('tr[data-layer="lm_head"] [data-field=name]').textContent(), 'lm_head');
    });

    it('says how certain the change of perplexity is, where the result tells it', async () => {
        await shown();
        assert.match(await textOf('quant-key-figures'), /13\.10 → 13\.47\s+\+2\.80% ± 0\.11%/);
        const older: Partial<Scores> = { ...sampleSnapshot().result!.scores };
        delete older.perplexity_ratio;
        await panel.send({ ...sampleSnapshot(), result: { ...sampleSnapshot().result!, scores: older as Scores } });
        assert.match(await textOf('quant-key-figures'), /13\.10 → 13\.47\s+\+2\.80% (?!±)/);
    });

    it('folds a long list of fallbacks', async () => {
        await open();
        const snapshot = sampleSnapshot();
        const layers = snapshot.result!.layers.map((layer) => ({ ...layer, fallback: 'not positive definite' }));
        await panel.send({ ...snapshot, result: { ...snapshot.result!, layers } });
        const rest = panel.page.locator('quant-notice details');
        assert.equal(await rest.locator('div').first().isVisible(), false);
        await rest.locator('summary').click();
        assert.equal(await rest.locator('div').count(), layers.length - 3);
        await until('the list to scroll by itself', async () => (await panel.page.evaluate(scrollingElements)).join() === 'top,scroller');
        const data = await panel.page.locator('quant-heat-map').boundingBox();
        assert.ok(data && data.height >= 250 && data.y + data.height <= 700, 'the data keeps its room');
    });

    it('keeps only the visible part of 1,500 layers and reaches the last one by keyboard', async () => {
        await open();
        await panel.send(largeSnapshot());
        await showTable();
        assert.ok((await panel.page.locator('tbody tr').count()) < 200);
        assert.equal(await panel.page.locator('table').getAttribute('aria-rowcount'), '1506');
        await panel.page.locator('td[data-row="0"][data-candidate="rtn-w8a16"]').click();
        await panel.page.keyboard.press('Control+End');
        const last = panel.page.locator('td[data-row="1499"]').last();
        await last.waitFor();
        await panel.page.waitForFunction(() => {
            const table = document.querySelector('quant-sensitivity')?.shadowRoot?.querySelector('quant-layer-table');
            return table?.shadowRoot?.activeElement?.getAttribute('data-row') === '1499';
        });
        const box = await last.boundingBox();
        assert.ok(box && box.y > 0 && box.y + box.height <= 700);
    });
});

/** Classes of all elements that can be scrolled up and down now, shadow roots included. */
function scrollingElements(): string[] {
    const found: string[] = [];
    const walk = (root: ParentNode): void => {
        for (const element of root.querySelectorAll('*')) {
            const scrolls = /auto|scroll/.test(getComputedStyle(element).overflowY) && element.scrollHeight > element.clientHeight;
            if (scrolls) found.push(element.className || element.localName);
            if (element.shadowRoot) walk(element.shadowRoot);
        }
    };
    walk(document);
    const page = document.scrollingElement;
    return page && page.scrollHeight > page.clientHeight ? [...found, 'page'] : found;
}
