import assert from 'node:assert/strict';
import { complete } from '../../../server/complete';
import { blanked, edited } from '../../../server/edited';
import { inlayHints } from '../../../server/inlay';
import { soundPart } from '../../../server/sound';
import { validate } from '../../../server/validate';
import { cursor, facts, recipe } from './fixture';

const right = [
    'model: tiny',
    'calibration:',
    '  data: c.txt',
    '  sequence_length: 9999',
    'candidates:',
    '  - gptq-w3a16-g32',
    '  - nope',
    'quantize:',
    '  default: gptq-w4a16-g32',
    '  # of the attention',
    '  rules:',
    '    - layers: "*.nothing"',
    '      use: none',
    '    - layers: "*.o_proj"',
    '      use: {',
    '        method: gptq, scheme: W9A16 }',
    '  budgett: 3',
    'output: out',
    '',
];

/** Each finding's code and text, and each hint's label, without what is said of the syntax. */
function said(text: string): readonly string[] {
    const parsed = recipe(text);
    const findings = validate(parsed, facts()).filter(({ code }) => code !== 'yaml-syntax');
    return [...findings.map(({ code, span }) => `${code}: ${text.slice(span.start, span.end)}`), ...inlayHints(parsed, facts()).map(({ label }) => label as string)];
}

function brokenLines(text: string): number[] {
    return validate(recipe(text), facts()).filter(({ code }) => code === 'yaml-syntax').map(({ span }) => text.slice(0, span.start).split('\n').length);
}

/** The lines from `first` to `last`, both from 1, changed. */
function changed(first: number, last: number, change: (line: string) => string): string {
    return right.map((line, index) => (first <= index + 1 && index + 1 <= last ? change(line) : line)).join('\n');
}

describe('lines that stand wrong', () => {
    const whole = said(right.join('\n'));

    it('are six mistakes and their hints when they stand right', () => {
        assert.deepEqual(whole.filter((one) => one.includes(': ')).map((one) => one.split(':')[0]), ['sequence-too-long', 'unknown-value', 'no-layer-matches', 'unknown-value', 'unknown-key']);
        assert.ok(whole.includes('3 layers') && whole.includes('no layer'), String(whole));
    });

    const deeper = (by: number) => (line: string): string => ' '.repeat(by) + line;
    const cases: readonly (readonly [string, string, ...number[]])[] = [
        ['the first key of a section, too deep', changed(9, 9, deeper(1)), 11],
        ['the first key of a section, not deep enough', changed(9, 9, (line) => line.slice(1)), 11],
        ['a later key with its list, too deep', changed(11, 16, deeper(1)), 11],
        ['a later key alone, too deep', changed(11, 11, deeper(1)), 11],
        ['a later key, not deep enough', changed(11, 11, (line) => line.slice(1)), 11],
        ['the first dash of a list, too deep', changed(12, 13, deeper(1)), 14],
        ['the first dash of a list without its second key', changed(12, 12, deeper(1)), 13, 14],
        ['the second dash of a list, not deep enough', changed(14, 16, (line) => line.slice(1)), 14],
        ['a tab before a key', changed(11, 11, (line) => line.replace('  ', '\t')), 11],
        ['tabs before a whole section', changed(9, 17, (line) => line.replace(/^ +/, (blanks) => '\t'.repeat(blanks.length / 2))), 9],
        ['a tab behind the blanks', changed(13, 13, (line) => line.replace('      ', '    \t')), 13],
        ['a section, too deep', changed(8, 17, deeper(1)), 8],
        ['the last key, too deep', changed(18, 18, deeper(3)), 18],
        ['an item of a list of texts', changed(7, 7, deeper(2)), 7],
    ];
    for (const [name, text, ...lines] of cases) {
        it(`cost nothing: ${name}`, () => {
            assert.deepEqual(said(text), whole);
            assert.deepEqual(brokenLines(text), lines);
            const { recipe: read, lost } = soundPart(recipe(text));
            assert.deepEqual(lost, []);
            for (const { key } of read.places) if (key && !key.name.includes('"')) assert.equal(text.slice(key.start, key.end), key.name);
            const windows = text.replaceAll('\n', '\r\n');
            assert.deepEqual(said(windows).map((one) => one.replaceAll('\r', '')), whole);
        });
    }

    it('are left out when nothing known stands there', () => {
        const text = changed(17, 17, deeper(1));
        assert.deepEqual(said(text), whole.filter((one) => !one.startsWith('unknown-key')));
        assert.deepEqual(brokenLines(text), [17]);
    });

    it('are left out when the key is there already, or when they are broken themselves', () => {
        const quantize = (line: string): string => `quantize:\n  default: none\n  rules: []\n${line}\nmodel: tiny\n`;
        for (const line of ['   default: gptq-w4a16', '   budget: { bits_per_weight: 4', '   budget: ]']) {
            const { recipe: read } = soundPart(recipe(quantize(line)));
            assert.deepEqual(read.errors, [], line);
            assert.deepEqual(read.root.children.map(({ key }) => key?.name), ['quantize', 'model'], line);
            assert.deepEqual(read.root.children[0]!.children.map(({ key }) => key?.name), ['default', 'rules'], line);
        }
    });

    it('belong to the nearest level whose keys they are', () => {
        const section = (text: string): (string | undefined)[] => soundPart(recipe(text)).recipe.places.filter(({ key }) => key).map(({ path }) => path.join('.'));
        assert.deepEqual(section('calibration:\n  data: c.txt\n samples: 8\n'), ['calibration', 'calibration.data', 'calibration.samples']);
        assert.deepEqual(section('calibration:\n  data: c.txt\n output: out\n'), ['calibration', 'calibration.data', 'output']);
    });

    it('are where completion goes on', () => {
        const typed = cursor('model: tiny\nquantize:\n   default: none\n  rules:\n    - layers: "*.o|"\n      use: none\n');
        assert.ok(complete(typed.recipe, typed.offset, facts()).items.some(({ label }) => label === '*.self_attn.o_proj'));
    });

    it('do not take long, however many there are', () => {
        const rules = Array.from({ length: 400 }, (_, index) => `${index % 3 === 0 ? '   ' : '    '}- layers: "*.o_proj"\n${index % 5 === 0 ? ' ' : ''}      use: none\n`);
        const read = soundPart(recipe(`quantize:\n  rules:\n${rules.join('')}zzz: 1\n`));
        assert.deepEqual(read.recipe.errors, []);
        assert.equal(read.recipe.root.children.at(-1)?.key?.name, 'zzz');
    });
});

describe('a text with edits', () => {
    it('knows of each offset where it stood', () => {
        const { text, back } = edited('ab  cd\n\tef', [{ start: 7, end: 8, text: '    ' }, { start: 2, end: 4, text: ' ' }]);
        assert.equal(text, 'ab cd\n    ef');
        assert.deepEqual([...text].map((_, offset) => back(offset)), [0, 1, 2, 4, 5, 6, 7, 8, 8, 8, 8, 9]);
        assert.equal(back(text.length), 10);
    });

    it('keeps its line ends when parts are left blank', () => {
        assert.equal(blanked('ab\r\ncd\nef', [{ start: 5, end: 8 }, { start: 1, end: 6 }]), 'a \r\n  \n f');
    });
});
