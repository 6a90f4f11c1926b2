import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { complete } from '../../../server/complete';
import { inlayHints } from '../../../server/inlay';
import { validate } from '../../../server/validate';
import { cursor, facts, recipe } from './fixture';
import { changedTexts, mistaken } from './mistaken';

const known = facts();

interface Said {
    /** From 1. */
    readonly line: number;
    readonly what: string;
}

/** Findings and hints, without what is said of the syntax. */
function said(text: string): readonly Said[] {
    const parsed = recipe(text);
    const findings = validate(parsed, known).filter(({ code }) => code !== 'yaml-syntax');
    return [
        ...findings.map(({ code, span }) => ({ line: parsed.lines.linePos(span.start).line, what: `${code}: ${text.slice(span.start, span.end).trim()}` })),
        ...inlayHints(parsed, known).map(({ label, position }) => ({ line: position.line + 1, what: label as string })),
    ];
}

function broken(text: string): string[] {
    const parsed = recipe(text);
    return validate(parsed, known).filter(({ code }) => code === 'yaml-syntax').map(({ span }) => `${parsed.lines.linePos(span.start).line}: ${text.slice(span.start, span.end)}`);
}

const lines = mistaken.split('\n');
const whole = said(mistaken);

/** With a line behind that of a number. */
function inserted(line: number, written: string): string {
    return lines.toSpliced(line, 0, written).join('\n');
}

/** What the whole recipe has said of it, when a line was put behind that of a number. */
function shifted(line: number): readonly Said[] {
    return whole.map((one) => ({ ...one, line: one.line + (one.line > line ? 1 : 0) }));
}

describe('what is broken costs only itself', () => {
    it('in a recipe with six mistakes and three hints', () => {
        assert.deepEqual(whole.map(({ line, what }) => `${line} ${what.split(':')[0]}`), [
            '4 sequence-too-long', '7 unknown-value', '12 no-layer-matches', '15 unknown-value', '17 unknown-key', '18 unknown-key', '12 no layer', '14 3 layers', '16 1 layer',
        ]);
    });

    const alone: readonly (readonly [number, string, string])[] = [
        [4, '---', '---'], [8, '---', '---'], [13, '---', '---'], [13, '...', '...'], [4, '--- # more', '---'], [4, '--- zzz: 3', '---'],
        [4, '&a', '&a'], [8, '!a', '!a'], [10, '  &a', '&a'], [13, '    &a', '&a'], [13, '      *a', '*a'], [6, '  &a', '&a'], [0, '*a', '*a'],
        [10, '  word', 'word'], [9, '  word', 'word'], [13, '    word', 'word'], [13, '  word', 'word'], [13, 'word', 'word'], [11, '    word', 'word'], [16, '    two words', 'two words'], [0, '  word', 'word'],
        [4, '@a', '@a'], [4, '`a: 3', '`'], [10, '  >', '>'], [13, '    : 3', ':'], [13, '    ? a', '?'], [10, '  [', '['], [4, '{', '{'], [13, '    ]', ']'],
        [13, '    -x', '-'], [0, '-', '-'], [0, '  - "', '-'], [6, '  - {', '{'], [13, '    - { layers: ', '{'], [13, '    - "', '"'],
    ];
    for (const [line, written, marked] of alone) {
        it(`${JSON.stringify(written)} behind line ${line}`, () => {
            const text = inserted(line, written);
            const rest = said(text).filter((one) => one.line !== line + 1);
            assert.deepEqual(rest, shifted(line));
            assert.deepEqual(broken(text), [`${line + 1}: ${marked}`]);
        });
    }

    const replaced: readonly (readonly [number, string, string])[] = [
        [9, 'quantize: {', '{'], [9, 'quantize: { default: none,', '{'], [9, 'quantize: "', '"'], [11, '  rules: [', '['], [11, '  rules: [ # first', '['], [5, 'candidates: [', '['], [5, 'candidates: [rtn', '['],
        [10, '  default: {', '{'], [10, '  default: "gptq-w4a16-g32', '"'], [10, '  "default: gptq-w4a16-g32', '"'], [13, '      use: {', '{'], [1, 'model: "tiny', '"'], [1, 'model: \'tiny # the model', '\''],
        [2, 'calibration: {', '{'], [3, '  data: "c.txt', '"'], [19, 'output: [', '['], [12, '    - layers: ["*.nothing"', '['], [14, '    - layers: "*.o_proj', '"'],
        [18, 'evaluate: { data: c.txt, sampels: 3', '{'], [16, '    - { layers: lm_head, use: none', '{'],
    ];
    for (const [line, written, marked] of replaced) {
        it(`${JSON.stringify(written)} in line ${line}`, () => {
            const text = lines.with(line - 1, written).join('\n');
            const rest = (all: readonly Said[]): readonly Said[] => all.filter((one) => one.line !== line);
            assert.deepEqual(rest(said(text)), rest(whole));
            assert.deepEqual(broken(text), [`${line}: ${marked}`]);
        });
    }

    it('nothing at all where only the end of a value is missing', () => {
        for (const [line, end] of [[14, '"'], [16, ' }'], [18, ' }']] as const) {
            const text = lines.with(line - 1, lines[line - 1]!.slice(0, -end.length)).join('\n');
            assert.deepEqual(said(text), whole);
            assert.equal(broken(text).length, 1);
        }
    });

    it('a list between brackets that is not closed has the items that stand there', () => {
        const text = [...lines.slice(0, 10), '  rules: [', '    { layers: "*.o_proj", use: nonee },', '    { layers: "*.nothing", use: none }', ...lines.slice(16)].join('\n');
        assert.deepEqual(said(text).map(({ line, what }) => `${line} ${what}`).filter((one) => /^1[23]/.test(one)), ['12 unknown-value: nonee', '13 no-layer-matches: "*.nothing"', '12 3 layers', '13 no layer']);
        assert.deepEqual(broken(text), ['11: [']);
    });

    it('a second recipe in the file is told once, and marks that are right not at all', () => {
        for (const mark of ['---', '...', '...\n---', '--- # another']) {
            const text = `${mistaken}${mark}\n${mistaken}`;
            assert.deepEqual(said(text), whole, mark);
            assert.equal(broken(text).length, 1, mark);
        }
        for (const text of [`---\n${mistaken}`, `# first\n---\n${mistaken}...\n# last\n`, `%YAML 1.2\n---\n${mistaken}...\n`]) {
            assert.deepEqual(said(text).map(({ what }) => what), whole.map(({ what }) => what));
            assert.deepEqual(broken(text), []);
        }
        assert.deepEqual(broken(`...\n${mistaken}`), ['1: ...']);
        assert.deepEqual(broken(`%a\n${mistaken}`), ['1: %a']);
    });

    it('a word that may be a section without its colon keeps what is below it', () => {
        const text = 'calibration:\n  data: c.txt\nquantize\n  default: nonee\n  rules: []\noutput: out\n';
        assert.deepEqual(said(text), []);
        assert.deepEqual(broken(text), ['3: quantize']);
    });

    it('a dash that is being typed is where an item is completed, behind its space', () => {
        const offered = (line: number, written: string): string[] => {
            const { recipe: parsed, offset } = cursor(inserted(line, written));
            return complete(parsed, offset, known).items.map(({ label }) => label);
        };
        for (const line of [11, 13, 16]) assert.deepEqual(offered(line, '    - |'), ['layers', 'use', 'rule'], String(line));
        for (const line of [5, 6, 8]) assert.ok(offered(line, '  - |').includes('gptq-w4a16'), String(line));
        for (const [line, written] of [[13, '    -|'], [16, '    -|'], [6, '  -|'], [8, '  -|']] as const) assert.deepEqual(offered(line, written), [], written);
    });

    it('wherever it stands, for all other sections', function () {
        this.timeout(60_000);
        const heads = lines.flatMap((line, index) => (/^\w/.test(line) ? [index] : []));
        let count = 0;
        const lost: string[] = [];
        for (const { text, line, written } of changedTexts()) {
            // A line above the first key of a section may belong to either.
            const touched = new Set([heads.findLastIndex((head) => head < line), heads.findLastIndex((head) => head <= line)]);
            const section = (index: number): number => heads.findLastIndex((head) => head <= index);
            const others = (all: readonly Said[]): readonly Said[] => all.filter((one) => !touched.has(section(one.line > line ? one.line - 2 : one.line - 1)));
            // What goes on the model's own value decides about every hint.
            if (line === 1) continue;
            const [found, wanted] = [others(said(text).filter((one) => one.line !== line + 1)), others(shifted(line))];
            if (!isDeepStrictEqual(found, wanted)) lost.push(`${JSON.stringify(written)} behind line ${line}`);
            count++;
        }
        assert.deepEqual(lost, []);
        assert.ok(count > 500);
    });
});
