import { strict as assert } from 'node:assert';
import { Announcer } from '../../../webview/shared/announcer';
import { Formats } from '../../../webview/shared/format';
import { setStrings, t } from '../../../webview/shared/strings';
import { exactValue, toCsv, toMarkdown } from '../../../webview/sensitivity/exportTable';
import { modelOf } from '../../../webview/sensitivity/model';
import { noticesOf } from '../../../webview/sensitivity/notices';
import { baseName, progressText, silence } from '../../../webview/sensitivity/runState';
import { failedSnapshot, finite, resultOf, runOf, sampleLayers, sampleSnapshot, snapshotOf } from '../../webview/fixture';

const formats = new Formats('en');

describe('numbers', () => {
    it('follow the locale, with units that do not', () => {
        assert.equal(formats.fixed(24.126, 2), '24.13');
        assert.equal(new Formats('de').fixed(24.126, 2), '24,13');
        assert.equal(new Formats('not a locale!').fixed(1, 1), '1.0');
        assert.equal(formats.percent(0.9134), '91.3%');
        assert.deepEqual([0, 999, 1000, 9_842_176, 123_456_789].map((count) => formats.bytes(count)), ['0 B', '999 B', '1.00 kB', '9.84 MB', '123 MB']);
        assert.deepEqual([4.23, 42, 200, 7500, 270_000].map((seconds) => formats.duration(seconds)), ['4.2 s', '42 s', '3 min 20 s', '2 h 5 min', '3 d 3 h']);
    });
});

describe('strings', () => {
    afterEach(() => {
        setStrings({});
    });

    it('are translated where there is a translation, with arguments in its own order', () => {
        assert.equal(t('{0} of {1}', 3, 6), '3 of 6');
        setStrings({ '{0} of {1}': 'von {1} schon {0}' });
        assert.equal(t('{0} of {1}', 3, 6), 'von 6 schon 3');
        assert.equal(t('Table'), 'Table');
        assert.equal(t('constructor'), 'constructor');
        assert.equal(t('{0} and {7}', 'a'), 'a and {7}');
    });
});

describe('announcements', () => {
    it('are spaced by five seconds, never repeated, and end with the last one', () => {
        const spoken: string[] = [];
        const waiting: { milliseconds: number; callback: () => void }[] = [];
        const timer = {
            after: (milliseconds: number, callback: () => void) => {
                waiting.push({ milliseconds, callback });
                return () => waiting.splice(0);
            },
        };
        const pass = (): void => {
            waiting.shift()?.callback();
        };
        const announcer = new Announcer((text) => spoken.push(text), timer);
        for (const text of ['1 of 9', '2 of 9', '3 of 9']) announcer.say(text);
        assert.deepEqual(spoken, ['1 of 9']);
        assert.deepEqual(waiting.map(({ milliseconds }) => milliseconds), [5000]);
        pass();
        assert.deepEqual(spoken, ['1 of 9', '3 of 9']);
        pass();
        announcer.say('3 of 9');
        assert.deepEqual(spoken, ['1 of 9', '3 of 9']);
        announcer.say('4 of 9');
        assert.equal(waiting.length, 1);
        announcer.dispose();
        assert.equal(waiting.length, 0);
    });
});

describe('copies of the table', () => {
    const model = modelOf(sampleSnapshot());
    const layers = sampleLayers();

    it('carry exact values as CSV, in the rows as shown', () => {
        const lines = toCsv(model, model.rows).split('\r\n');
        const head = lines[0]?.split(',') ?? [];
        assert.equal(lines.length, 45);
        assert.equal(lines.at(-1), '');
        const cells = lines[1]?.split(',') ?? [];
        assert.equal(cells[head.indexOf('gptq-w4a16_db')], String(layers[0]?.candidates['gptq-w4a16']?.sqnr_db));
        assert.equal(cells[head.indexOf('achieved_db')], String(layers[0]?.achieved?.sqnr_db));
        assert.match(toCsv(model, model.rows.toReversed()).split('\r\n')[1] ?? '', /^lm_head,/);
    });

    it('name the states instead of inventing numbers', () => {
        assert.equal(exactValue({ ...finite(0, 8), sqnr_db: null, state: 'infinite' }), 'inf');
        assert.equal(exactValue({ ...finite(0, 8), sqnr_db: null, state: 'zero-signal' }), '');
        assert.equal(exactValue(null), '');
    });

    it('quote what would break a field or a column', () => {
        const [first] = sampleLayers();
        assert.ok(first);
        const odd = modelOf(snapshotOf({ result: resultOf([{ ...first, name: 'a,"b"|c', block: null }]) }));
        assert.ok(toCsv(odd, odd.rows).includes('\r\n"a,""b""|c",'));
        assert.ok(toMarkdown(odd, odd.rows).includes('| a,"b"\\|c |'));
    });

    it('are a well-formed Markdown table', () => {
        const lines = toMarkdown(model, model.rows).trimEnd().split('\n');
        const widths = new Set(lines.map((line) => line.split(/(?<!\\)\|/).length));
        assert.equal(lines.length, 45);
        assert.equal(widths.size, 1);
    });
});

describe('the state of a run', () => {
    it('is told with its phase and counter', () => {
        const run = runOf({ state: 'running', progress: { phase: 'measure', done: 3, total: 6, unit: 'blocks', doing: '', seconds_left: null } });
        assert.equal(progressText(run, formats), 'Measuring candidates: 3 of 6 blocks');
        assert.match(progressText({ ...run, state: 'cancelling' }, formats), /next layer/);
        assert.equal(progressText(runOf({ state: 'starting' }), formats), 'Starting');
    });

    it('is doubted after three minutes of silence, but only while it should be working', () => {
        const run = runOf({ state: 'running', updated: '2026-01-01T12:00:00Z' });
        const later = Date.parse('2026-01-01T12:04:00Z');
        assert.equal(silence(run, later), 240);
        assert.equal(silence(run, Date.parse('2026-01-01T12:01:00Z')), null);
        assert.equal(silence({ ...run, state: 'done' }, later), null);
    });

    it('says what failed and what to do, and names every fallback', () => {
        const [failed] = noticesOf(failedSnapshot(), formats, 0);
        assert.equal(failed?.severity, 'error');
        assert.equal(failed?.lines.length, 2);
        assert.deepEqual(failed?.actions.map(({ name }) => name), ['resume', 'show-log']);
        const [fallback] = noticesOf(sampleSnapshot(), formats, 0);
        assert.match(fallback?.lines[0] ?? '', /k_proj: gptq-w4a16 → rtn-w4a16\. The Gram matrix/);
    });

    it('names files of either kind of machine', () => {
        assert.equal(baseName('/a/b/c.quant.yaml'), 'c.quant.yaml');
        assert.equal(baseName('C:\\models\\tiny\\'), 'tiny');
    });
});
