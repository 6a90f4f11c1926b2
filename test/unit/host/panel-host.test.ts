import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { silentLog } from '../../../src/base/log';
import { decidingPlace } from '../../../src/panels/decidingPlace';
import { panelHtml } from '../../../src/panels/html';
import { isSensitivityState, SnapshotSource } from '../../../src/panels/snapshot';
import { lookAtRun, startingRun } from '../../../src/runs/run';
import { record, temporaryFolder, writeRun } from './helpers/runs';

describe('the page of a panel', () => {
    const html = panelHtml({
        language: 'en', title: 'a "title" <b>', nonce: 'abc', cspSource: 'https://cdn', script: 'https://cdn/s.js?a&b', icons: 'https://cdn/c.css', element: 'quant-sensitivity',
    });

    it('allows its own script, styles, fonts and images, and nothing else', () => {
        const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]?.replaceAll('&#39;', "'");
        assert.equal(policy, `default-src 'none'; script-src 'nonce-abc'; style-src https://cdn; font-src https://cdn; img-src https://cdn`);
        assert.ok(!html.includes('unsafe'));
        assert.deepEqual([...html.matchAll(/<script[^>]*>/g)].map(([tag]) => tag), ['<script nonce="abc" src="https://cdn/s.js?a&#38;b">']);
        assert.ok(!/ on\w+=| style=/.test(html));
    });

    it('takes values as text', () => {
        assert.ok(html.includes('<title>a &#34;title&#34; &#60;b&#62;</title>'));
    });
});

describe('what a panel stored of itself', () => {
    it('is used only when it names a run', () => {
        assert.ok(isSensitivityState({ v: 1, runDirectory: '/w/runs/1', view: 'map' }));
        for (const value of [undefined, null, 'x', {}, { v: 2, runDirectory: '/w' }, { v: 1, runDirectory: '' }, { v: 1, runDirectory: 7 }]) assert.equal(isSensitivityState(value), false);
    });
});

describe('a snapshot for a panel', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);
    const translations = { strings: { done: 'fertig' }, locale: 'de' };
    const read = async (directory: string, alive: boolean) => new SnapshotSource(directory, translations, silentLog).read(await lookAtRun(directory, () => Promise.resolve(alive)));

    it('is whole: record, result, words', async () => {
        const result = { format: 1, layers: [], candidates: [], problems: [] };
        const directory = writeRun(folder, 'whole', { record: record({ state: 'done' }), result });
        const message = await read(directory, false);
        assert.deepEqual(message, { type: 'snapshot', version: 1, runDirectory: directory, run: record({ state: 'done' }), stoppable: false, result, live: null, ...translations });
    });

    it('has what was measured while there is no result', async () => {
        const directory = writeRun(folder, 'live', { record: record() });
        const measurement = { noise: 1, sqnr_db: 20, state: 'finite', bits_per_weight: 4, damping: null, fallback: null };
        appendFileSync(path.join(directory, 'events.jsonl'), `${JSON.stringify({ sequence: 1, time: '', type: 'layer-measured', layer: 'x', signal: 1, candidates: { a: measurement } })}\n{"unfinished`);
        const message = await read(directory, true);
        assert.ok(message?.type === 'snapshot');
        assert.deepEqual([message.result, message.live], [null, { layers: { x: { a: measurement } }, candidates: ['a'] }]);
    });

    it('does not show the result of before while a run is resumed', async () => {
        const directory = writeRun(folder, 'resumed', { record: record(), result: { format: 1, layers: [], candidates: [], problems: [] } });
        const message = await read(directory, true);
        assert.ok(message?.type === 'snapshot' && message.result === null && message.live);
    });

    it('says that a process is gone, though its record still says that it runs', async () => {
        const message = await read(writeRun(folder, 'interrupted', { record: record() }), false);
        assert.ok(message?.type === 'snapshot');
        assert.equal(message.run.state, 'failed');
        assert.equal(message.run.error?.code, 'interrupted');
        assert.match(message.run.advice ?? '', /Resume/);
    });

    it('says that a run is gone, and waits for one that is just starting', async () => {
        const directory = path.join(folder, 'runs', 'gone');
        const source = new SnapshotSource(directory, translations, silentLog);
        const message = await source.read(undefined);
        assert.ok(message?.type === 'gone' && message.runDirectory === directory && message.reason);
        assert.equal(await source.read(startingRun(directory, '/w/a.quant.yaml', 0)), undefined);
    });
});

describe('the place in a recipe that decided about a layer', () => {
    const text = 'model: m\nquantize:\n  default: rtn-w4a16 # why\n  rules:\n    - layers: "*.up_proj"\n      use: none\n    - { layers: lm_head, use: none }\n';
    const place = (rule: Parameters<typeof decidingPlace>[2]): string | undefined => {
        const found = decidingPlace(text, text, rule);
        return found && text.slice(found.start, found.end);
    };

    it('is the rule, the default or the budget', () => {
        assert.equal(place('default'), 'rtn-w4a16');
        assert.match(place(0) ?? '', /^layers: "\*\.up_proj"/);
        assert.equal(place(1), '{ layers: lm_head, use: none }');
    });

    it('is the rule that ran, wherever it stands now', () => {
        const head = '  rules:\n';
        const moved = text.replace(head, `${head}    - { layers: "*.o_proj", use: rtn-w8a16 }\n`);
        const found = decidingPlace(moved, text, 1);
        assert.equal(found && moved.slice(found.start, found.end), '{ layers: lm_head, use: none }');
        assert.equal(decidingPlace(text.replace('lm_head', '"*.q_proj"'), text, 1), undefined);
    });

    it('is nowhere when the recipe has changed or nothing decided', () => {
        assert.deepEqual([place(7), place('budget'), place(null), decidingPlace(': : [', text, 'default')], [undefined, undefined, undefined, undefined]);
    });
});
