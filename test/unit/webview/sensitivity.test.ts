import { strict as assert } from 'node:assert';
import type { LayerResult } from '../../../protocol/generated/result';
import { finite, layersOf, liveSnapshot, resultOf, runOf, sampleLayers, sampleSnapshot, snapshotOf } from '../../webview/fixture';
import { partsOf } from '../../../webview/sensitivity/describe';
import { blockOf, commonStart, fallbackOf, isInUse, modelOf, noiseShare, shortName, WRITTEN, type Model } from '../../../webview/sensitivity/model';
import { limitsByColumn, limitsOf, position } from '../../../webview/sensitivity/scale';
import { nextSort, sortRows } from '../../../webview/sensitivity/sort';
import { quantile, summarize, weakest } from '../../../webview/sensitivity/statistics';
import { marksOf } from '../../../webview/sensitivity/marksOf';

/** A model with one candidate `a` of the given values; null stands for an exact layer, undefined for an unmeasured one. */
function modelWith(values: readonly (number | null | undefined)[]): Model {
    const layers = layersOf(1).slice(0, values.length).map((layer, index): LayerResult => {
        const value = values[index];
        const none: LayerResult['candidates'] = {};
        const exact = { ...finite(0, 4), sqnr_db: null, noise: 0, state: 'infinite' as const };
        return { ...layer, asked: null, applied: null, achieved: null, candidates: value === undefined ? none : { a: value === null ? exact : finite(value, 4) } };
    });
    return modelOf(snapshotOf({ result: resultOf(layers, ['a']) }));
}

describe('the panel model', () => {
    it('shows written weights as a column of their own and marks the applied method', () => {
        const model = modelOf(sampleSnapshot());
        assert.equal(model.columns.at(-1), WRITTEN);
        assert.equal(model.rows.length, 43);
        const row = model.rows.find((each) => each.name === 'model.layers.2.self_attn.k_proj');
        assert.ok(row);
        assert.equal(model.columns[row.chosen], 'rtn-w4a16');
        assert.match(fallbackOf(row, 'gptq-w4a16', row.cells[2] ?? null) ?? '', /Gram matrix/);
        assert.match(fallbackOf(row, WRITTEN, row.cells.at(-1) ?? null) ?? '', /Gram matrix/);
        assert.equal(fallbackOf(row, 'rtn-w4a16', row.cells[1] ?? null), null);
    });

    it('has no such column, and marks what is asked, when nothing is written', () => {
        const layers = sampleLayers().map((layer) => ({ ...layer, applied: null, achieved: null }));
        const model = modelOf(snapshotOf({ result: resultOf(layers) }));
        assert.ok(!model.columns.includes(WRITTEN));
        assert.equal(model.columns[model.rows[0]?.chosen ?? -1], 'gptq-w4a16');
    });

    it('marks the written column when the applied method is no candidate', () => {
        const layers = sampleLayers().map((layer) => (layer.kind === 'down_proj' ? { ...layer, asked: 'gptq-w8a16', applied: 'gptq-w8a16' } : layer));
        const model = modelOf(snapshotOf({ result: resultOf(layers) }));
        const marked = (name: string): string[] => {
            const row = model.rows.find((each) => each.name === name);
            assert.ok(row, name);
            return model.columns.filter((_, column) => isInUse(model, row, column));
        };
        assert.deepEqual(marked('model.layers.0.mlp.down_proj'), [WRITTEN]);
        assert.deepEqual(marked('model.layers.0.mlp.up_proj'), ['gptq-w4a16']);
        assert.deepEqual(marked('lm_head'), []);
    });

    it('reads a live run from its events and leaves out what they have not told', () => {
        const model = modelOf(liveSnapshot());
        assert.equal(model.rows.length, 24);
        assert.deepEqual(model.rows.slice(0, 8).map((row) => row.block), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert.deepEqual(model.rows.at(-1)?.cells.slice(4), [null, null]);
        assert.ok(model.live && marksOf(model).has('missing'));
    });

    it('prefers the result to the events once there is one', () => {
        const model = modelOf({ ...liveSnapshot(), result: resultOf(sampleLayers()) });
        assert.equal(model.rows.length, 43);
    });

    it('is empty, not broken, before the first layer', () => {
        assert.deepEqual(modelOf(snapshotOf({ run: runOf({ state: 'starting' }) })), { columns: [], rows: [], live: true, weightsOnly: false });
    });

    it('takes a candidate named like a property of every object for what it is', () => {
        const live = { layers: { 'a.0.b': { constructor: finite(20, 4) } }, candidates: ['constructor', 'toString'] };
        const [row] = modelOf(snapshotOf({ live })).rows;
        assert.deepEqual(row?.cells.map((cell) => cell?.sqnr_db), [20, undefined]);
    });

    it('shortens names by their block', () => {
        assert.equal(blockOf('model.layers.12.mlp.up_proj'), 12);
        assert.equal(blockOf('lm_head'), null);
        assert.equal(shortName('model.layers.12.mlp.up_proj', 12), 'mlp.up_proj');
        assert.equal(shortName('lm_head', null), 'lm_head');
    });

    it('lets a label wrap between its parts and nowhere else', () => {
        assert.deepEqual(partsOf('awq-w4a16-g64(clip=False, rounding=gptq)'), ['awq-', 'w4a16-', 'g64', '(clip=', 'False,', ' rounding=', 'gptq)']);
        assert.deepEqual(partsOf('fp8_dynamic'), ['fp8_dynamic']);
        assert.deepEqual(partsOf('awq-w4a16(clip=False, rounding=gptq(damping=1e-05, actorder=none))'), [
            'awq-', 'w4a16', '(clip=', 'False,', ' rounding=', 'gptq', '(damping=', '1e-05,', ' actorder=', 'none))',
        ]);
    });

    it('turns dB into the share of noise', () => {
        assert.ok(Math.abs((noiseShare(finite(20, 4)) ?? 0) - 0.01) < 1e-12);
        assert.equal(noiseShare({ ...finite(0, 4), sqnr_db: null, state: 'infinite' }), 0);
        assert.equal(noiseShare({ ...finite(0, 4), sqnr_db: null, state: 'zero-signal' }), null);
    });
});

describe('what the names of layers have in common', () => {
    const shown = (...names: string[]): string[] => {
        const layers = names.map((name): LayerResult => ({ ...sampleLayers()[0]!, name, block: blockOf(name) }));
        const { rows } = modelOf(snapshotOf({ result: resultOf(layers) }));
        const common = commonStart(rows);
        return rows.map((row) => row.name.slice(common(row)));
    };

    it('ends before the number of the block, and does not concern layers outside the blocks', () => {
        assert.deepEqual(shown('model.layers.0.mlp.up_proj', 'model.layers.12.mlp.up_proj', 'lm_head'), ['0.mlp.up_proj', '12.mlp.up_proj', 'lm_head']);
        assert.deepEqual(shown('model.layers.3.mlp.up_proj'), ['3.mlp.up_proj']);
    });

    it('leaves what tells two towers apart', () => {
        assert.deepEqual(shown('model.layers.0.q', 'model.visual.blocks.0.q', 'model.visual.blocks.1.q'), ['layers.0.q', 'visual.blocks.0.q', 'visual.blocks.1.q']);
        assert.deepEqual(shown('decoder.0.q', 'encoder.0.q'), ['decoder.0.q', 'encoder.0.q']);
    });

    it('is nothing without layers', () => assert.deepEqual(shown(), []));
});

describe('summaries', () => {
    it('interpolate quantiles between order statistics', () => {
        assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5);
        assert.equal(quantile([1, 2, 3, 4], 0), 1);
        assert.equal(quantile([1, 2, 3, 4], 1), 4);
        assert.equal(quantile([10], 0.98), 10);
    });

    it('leave out layers without a finite value and count them', () => {
        const [summary] = summarize(modelWith([30, 10, null, undefined, 20]));
        assert.deepEqual(summary, { minimum: 10, median: 20, mean: 20, bits: 4, chosen: 0, infinite: 1, zeroSignal: 0 });
    });

    it('average bits over weights, not over layers', () => {
        const layers = layersOf(1).slice(0, 2).map((layer, index) => ({
            ...layer, outputs: index === 0 ? 300 : 100, inputs: 10, achieved: null, candidates: { a: finite(20, index === 0 ? 4 : 8) },
        }));
        const [summary] = summarize(modelOf(snapshotOf({ result: resultOf(layers, ['a']) })));
        assert.equal(summary?.bits, 5);
    });

    it('say nothing where nothing is finite', () => {
        const [summary] = summarize(modelWith([null, undefined]));
        assert.equal(summary?.minimum, null);
        assert.equal(summary?.mean, null);
    });

    it('find the weakest layer among the methods in use, not among all candidates', () => {
        const model = modelOf(sampleSnapshot());
        const found = weakest(model, model.columns.indexOf(WRITTEN));
        const written = sampleLayers().flatMap((layer) => layer.achieved?.sqnr_db ?? []);
        assert.equal(found?.value, Math.min(...written));
    });
});

describe('colour limits', () => {
    it('are the extremes of few values and ignore the tails of many', () => {
        assert.deepEqual(limitsOf(Float64Array.of(5, 7, 40)), { low: 5, high: 40, rule: 'range' });
        const many = Float64Array.from({ length: 1001 }, (_, index) => index);
        assert.deepEqual(limitsOf(many), { low: 20, high: 980, rule: 'percentiles' });
        assert.equal(limitsOf(new Float64Array()), null);
    });

    it('stay apart when all values are equal', () => {
        const limits = limitsOf(Float64Array.of(12, 12));
        assert.deepEqual(limits, { low: 11.5, high: 12.5, rule: 'range' });
        assert.equal(limits && position(12, limits), 0.5);
    });

    it('hold values beyond them at the ends', () => {
        const limits = { low: 10, high: 20, rule: 'percentiles' } as const;
        assert.deepEqual([0, 10, 15, 99].map((value) => position(value, limits)), [0, 0, 0.5, 1]);
    });

    it('are common or those of each column', () => {
        const layers = layersOf(1).slice(0, 2).map((layer, index) => ({ ...layer, achieved: null, candidates: { a: finite(10 + index, 4), b: finite(40 + index, 8) } }));
        const model = modelOf(snapshotOf({ result: resultOf(layers, ['a', 'b']) }));
        assert.deepEqual(limitsByColumn(model, 'all').map((each) => each && [each.low, each.high]), [[10, 41], [10, 41]]);
        assert.deepEqual(limitsByColumn(model, 'column').map((each) => each && [each.low, each.high]), [[10, 11], [40, 41]]);
    });
});

describe('sorting', () => {
    const values = [30, 10, null, undefined, 20];
    const sorted = (descending: boolean): (number | null | undefined)[] =>
        sortRows(modelWith(values), 'candidate:a', descending).map((row) => (row.cells[0] ? row.cells[0].sqnr_db : undefined));

    it('puts the worst layer first, exact layers above all, unmeasured ones last in both directions', () => {
        assert.deepEqual(sorted(false), [10, 20, 30, null, undefined]);
        assert.deepEqual(sorted(true), [null, 30, 20, 10, undefined]);
    });

    it('compares numbers in names as numbers', () => {
        const model = modelOf(snapshotOf({ result: resultOf(layersOf(12)) }));
        const names = sortRows(model, 'name', false).map((row) => row.block);
        assert.ok(names.indexOf(2) < names.indexOf(10));
    });

    it('falls back to the order of the model for a candidate that is not there', () => {
        const model = modelWith(values);
        assert.deepEqual(sortRows(model, 'candidate:gone', true), model.rows);
    });

    it('goes from worst first over best first back to the order of the model', () => {
        const first = nextSort('order', false, 'candidate:a');
        const second = nextSort(first.key, first.descending, 'candidate:a');
        const third = nextSort(second.key, second.descending, 'candidate:a');
        assert.deepEqual([first, second, third].map(({ key, descending }) => [key, descending]), [['candidate:a', false], ['candidate:a', true], ['order', false]]);
    });
});
