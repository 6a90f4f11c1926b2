import { strict as assert } from 'node:assert';
import type { Browser } from 'playwright-core';
import { isPanelMessage, type SensitivityState } from '../../../protocol/panel';
import { CANDIDATES, failedSnapshot, largeSnapshot, liveSnapshot, runOf, sampleLayers, sampleSnapshot, snapshotOf } from '../../webview/fixture';
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
        await panel.page.locator('td[data-row="0"][data-column="2"]').click();
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
        for (const part of ['model.layers.0.mlp.down_proj', 'gptq-w4a16', `${layer?.candidates['gptq-w4a16']?.sqnr_db?.toFixed(2) ?? ''} dB`, '256 × 640', 'rtn-w8a16 → rtn-w8a16']) {
            assert.ok(text.includes(part), `${part} in ${text}`);
        }
        const box = await card.boundingBox();
        assert.ok(box && (box.x > point.x || box.x + box.width < point.x), 'the card leaves the column free');
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
        await panel.page.locator('quant-notice vscode-button').click();
        assert.deepEqual((await panel.recorded()).messages.at(-1), { type: 'show-log' });
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

    it('keeps only the visible part of 1,500 layers and reaches the last one by keyboard', async () => {
        await open();
        await panel.send(largeSnapshot());
        await showTable();
        assert.ok((await panel.page.locator('tbody tr').count()) < 200);
        assert.equal(await panel.page.locator('table').getAttribute('aria-rowcount'), '1506');
        await panel.page.locator('td[data-row="0"][data-column="2"]').click();
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
