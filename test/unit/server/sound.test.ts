import assert from 'node:assert/strict';
import { codeActions } from '../../../server/actions';
import { complete } from '../../../server/complete';
import { diagnostic } from '../../../server/diagnostic';
import { namedPaths } from '../../../server/facts';
import { hover } from '../../../server/hover';
import { inlayHints } from '../../../server/inlay';
import { validate } from '../../../server/validate';
import { cursor, facts, recipe } from './fixture';

/** `code: marked text` of each finding. */
function found(text: string, known = facts()): string[] {
    return validate(recipe(text), known).map(({ code, span }) => `${code}: ${text.slice(span.start, span.end)}`);
}

/** Six mistakes; `indent` stands before `sequence_length`. */
function sixMistakes(indent: string): string {
    return [
        'model: tiny',
        'calibration:',
        '  data: nowhere.txt',
        '  sampels: 3',
        `${indent}sequence_length: 9999`,
        'candidates: [gptq-w4a61]',
        'quantize:',
        '  default: gptq-w4a16-g32',
        '  rules:',
        '    - { layers: "*.down_prj", use: none }',
        '    - { layers: "*.o_proj", use: { method: gptq } }',
        'output: [out]',
        '',
    ].join('\n');
}

describe('the sound part of a text with a syntax error', () => {
    const known = facts({ files: new Map([...facts().files, ['nowhere.txt', { kind: 'missing' as const, realPath: '/nowhere', text: undefined }]]) });
    const above = ['data-missing: nowhere.txt', 'unknown-key: sampels'];
    const below = ['unknown-value: gptq-w4a61', 'no-layer-matches: "*.down_prj"', 'missing-key: use', 'wrong-type: [out]'];

    it('keeps all other findings of a recipe', () => {
        assert.deepEqual(found(sixMistakes('  '), known), [...above, 'sequence-too-long: 9999', ...below]);
        for (const indent of [' ', '   ', '\t']) {
            const codes = found(sixMistakes(indent), known);
            assert.deepEqual(codes.filter((code) => !code.startsWith('yaml-syntax')), [...above, 'sequence-too-long: 9999', ...below], JSON.stringify(indent));
            assert.equal(codes.filter((code) => code.startsWith('yaml-syntax')).length, 1, JSON.stringify(indent));
        }
    });

    it('is the same with Windows line ends, at the same places', () => {
        const text = sixMistakes(' ').replaceAll('\n', '\r\n');
        assert.deepEqual(found(text, known).filter((code) => !code.startsWith('yaml-syntax')), [...above, 'sequence-too-long: 9999', ...below]);
    });

    it('has the sections above and below a bracket that is not closed', () => {
        assert.deepEqual(found('modle: x\ncalibration: [1, 2\nzzz: 3\n'), ['unknown-key: modle', 'yaml-syntax: [', 'unknown-key: zzz']);
        assert.deepEqual(found('modle: x\ncalibration: { data: "c.txt }\nzzz: 3\n').filter((code) => !code.startsWith('yaml')), ['unknown-key: modle', 'unknown-key: zzz']);
    });

    it('has the sections around a line without a colon', () => {
        const rest = found('modle: x\noutput out\nzzz: 3\n').filter((code) => !code.startsWith('yaml'));
        assert.deepEqual(rest, ['unknown-key: modle', 'unknown-key: zzz']);
    });

    it('says of what is cut off neither that it is missing nor that it is empty', () => {
        const only = (text: string): void => assert.deepEqual(found(text).map((code) => code.split(':')[0]), ['yaml-syntax'], text);
        only('model: tiny\n   outptu: x\n');
        only('model: tiny\ncalibration:\n\tdata: c.txt\nquantize: { default: gptq-w4a16-g32 }\noutput: out\n');
        only('model: tiny\ncalibration:\n  samples: 8\n dat: c.txt\noutput: out\n');
        only('model: tiny\ncalibration: { data: c.txt }\nquantize:\n  default:\n    method: gptq\n     sheme: W4A16\noutput: out\n');
        only('model: tiny\ncalibration: { data: c.txt }\nquantize: { default: gptq-w4a16-g32 }\noutput: out\n---\nmodel: other\n');
        only('---\nmodel: tiny\ncalibration: &here { data: c.txt ]\nevaluate: *here\n');
        only(' model: tiny\n calibration: { data: c.txt }\n quantize: { default: gptq-w4a16-g32 }\n output: [\n');
    });

    it('does not take a key that is being typed for the value above it', () => {
        const text = 'model: tiny\ncalibration: { data: c.txt }\nquantize:\n  def\n  rules: []\noutput: out\n';
        assert.deepEqual(found(text).filter((code) => !code.startsWith('yaml')), []);
    });

    it('says nothing of layers whose rules or candidates are cut off', () => {
        const only = (text: string): void => assert.deepEqual(found(text).map((code) => code.split(':')[0]), ['yaml-syntax'], text);
        const start = 'model: tiny\ncalibration: { data: c.txt }\n';
        only(`${start}quantize:\n  default: gptq-w4a16-g64\n  rules:\n    - { layers: "*.k_proj", use: rtn-w8a16-g32 }\n    -{ layers: "*.down_proj", use: none }\noutput: out\n`);
        only(`${start}quantize: { default: none, budget: { bits_per_weight: 4 } }\noutput: out\ncandidates: [gptq-w3a16-g32\n`);
        only(`${start}candidates:\n  - method: gptq\n    scheme: W4A16\n     group_size: 32\nquantize: { default: gptq-w4a16-g32 }\noutput: out\n`);
    });

    it('has lists and brackets that stand as far left as their key', () => {
        const text = 'candidates:\n- gptq-w4a61\nquantize: {\n  default: gptq\n}\nmodel: tiny\n   output: x\n';
        assert.deepEqual(found(text).filter((code) => !code.startsWith('yaml')), ['unknown-value: gptq-w4a61', 'unknown-value: gptq']);
    });

    it('ends soon on a long text', () => {
        const rules = Array.from({ length: 250 }, (_, index) => `    - layers: "*.o_proj"\n${index % 10 === 0 ? '  ' : ''}      use: { method: gptq ${index % 7 === 0 ? ']' : '}'}\n`);
        assert.ok(found(`quantize:\n  rules:\n${rules.join('')}zzz: 1\n`).includes('unknown-key: zzz'));
        assert.ok(found(`candidates:\n${'  - none\n'.repeat(3000)} - none\nzzz: 1\n`).includes('unknown-key: zzz'));
    });

    /** Four mistakes in one section, `use: none` preceded by `indent`. */
    const inOneSection = (indent: string): string => [
        'model: tiny', 'calibration: { data: c.txt, samples: 64, sequence_length: 256 }', 'quantize:', '  default: gptq-w4a16-g32', '  rules:',
        '    - layers: "*.down_proj"', `${indent}use: none`, '    - layers: lm_head', '      use: nonee', '    - layers: "*.nothing"', '      use: gptq-w9a16',
        '  budgett: 3', 'output: out', '',
    ].join('\n');
    const four = ['unknown-value: nonee', 'no-layer-matches: "*.nothing"', 'unknown-value: gptq-w9a16', 'unknown-key: budgett'];

    it('loses one entry of a section, not the others', () => {
        assert.deepEqual(found(inOneSection('      ')), four);
        for (const indent of [' ', '   ', '     ', '       ', '             ', '\t', '      \t']) {
            const mark = indent.includes('\t') ? '\t' : 'use';
            assert.deepEqual(found(inOneSection(indent)), [`yaml-syntax: ${mark}`, ...four], JSON.stringify(indent));
        }
    });

    it('keeps what stands around a value that cannot be read', () => {
        const written: Readonly<Record<string, string>> = {
            'use: { method: gptq': '{', 'use: "none': '"', 'use: [none}': '}', 'use: method: gptq': 'method', 'use: "none" of': 'of', 'use none': 'use none', 'use:none': 'use:',
        };
        for (const [entry, mark] of Object.entries(written)) {
            assert.deepEqual(found(inOneSection('      ').replace('use: none\n', `${entry}\n`)), [`yaml-syntax: ${mark}`, ...four], entry);
        }
    });

    it('says each broken place once, however many lines follow from it', () => {
        const text = 'calibration:\n  data: c.txt\n    samples: 64\n    seed: 1\nquantize:\n  rules:\n    - layers: a\n   - layers: b\n     use: none\n   - layers: c\n      use: none\n';
        const broken = validate(recipe(text), facts()).filter(({ code }) => code === 'yaml-syntax');
        assert.deepEqual(broken.map(({ span }) => text.slice(0, span.start).split('\n').length), [3, 8]);
    });

    it('marks a second text in a list that the parser takes for the first one going on', () => {
        assert.deepEqual(found('candidates:\n  - gptq-w4a16\n    - rtn-w4a16 of\n  - nope\n').filter((one) => /^yaml|value/.test(one)), ['yaml-syntax: -', 'unknown-value: rtn-w4a16 of', 'unknown-value: nope']);
        assert.deepEqual(found('candidates:\n  -gptq-w4a16\n'), ['yaml-syntax: -']);
    });

    it('leaves no trace of an anchor that was left out, and tells one that never was', () => {
        assert.deepEqual(found('calibration: &here { data: c.txt ]\nevaluate: *here\n'), ['yaml-syntax: ]']);
        assert.deepEqual(found('calibration: { data: c.txt }\nevaluate: *here\n').filter((one) => one.startsWith('yaml')), ['yaml-syntax: *here']);
    });

    it('goes on saying what a broken place in another section cannot change', () => {
        const quantize = 'candidates: [gptq-w3a16-g32]\nquantize:\n  default: gptq-w4a16-g64\n  budget: { bits_per_weight: 1.5 }\n  rules:\n    - { layers: "*.k_proj", use: rtn-w8a16-g32 }\n';
        const codes = (calibration: string): string[] => found(`model: tiny\n${calibration}${quantize}output: out\n`).map((one) => one.split(':')[0]!);
        const sure = ['group-size', 'budget-unreachable', 'fused-layers'];
        assert.deepEqual(codes('calibration: { data: c.txt }\n').sort(), [...sure].sort());
        assert.deepEqual(codes('calibration:\n  data: c.txt\n   samples: 3\n').sort(), ['yaml-syntax', ...sure].sort());
        // Here the broken line may be the candidates that the budget lacks.
        assert.deepEqual(found('model: tiny\ncalibration: { data: c.txt }\ncandidates [gptq-w4a16]\nquantize: { default: none, budget: { size: 1 B } }\noutput: out\n').map((one) => one.split(':')[0]), ['yaml-syntax']);
    });

    it('is what hints and findings both speak of', () => {
        for (const indent of ['      ', '       ']) {
            const text = inOneSection(indent);
            const unmatched = validate(recipe(text), facts()).filter(({ code }) => code === 'no-layer-matches').map(({ span }) => span.end);
            const hints = inlayHints(recipe(text), facts()).filter(({ label }) => label === 'no layer').map(({ position }) => position);
            assert.deepEqual(hints, unmatched.map((offset) => ({ line: text.slice(0, offset).split('\n').length - 1, character: offset - text.lastIndexOf('\n', offset - 1) - 1 })));
        }
        // The parser takes this for one pattern over two lines.
        const guess = 'quantize:\n  rules:\n    - layers: lm_head\n        - other\nmodel: tiny\n';
        assert.deepEqual(inlayHints(recipe(guess), facts()).map(({ label }) => label), ['1 layer']);
    });

    it('offers the fixes of what can be read', () => {
        const text = inOneSection('       ');
        const parsed = recipe(text);
        const actions = codeActions(parsed, 'file:///r', validate(parsed, facts()), { start: 0, end: text.length }, (finding) => diagnostic(parsed, 'file:///r', finding, ''));
        assert.deepEqual(actions.map(({ title }) => title), ['Change to none', 'Change to gptq-w2a16', 'Change to budget', 'Remove "budgett"']);
    });

    const unclosed = 'calibration: { data: c.txt\nmodel: tiny\nquantize:\n  rules:\n    - { layers: "*.o_proj", use: gptq-w4a16-g32 }\noutput: out\n';

    it('names the files of the sections below', () => {
        assert.deepEqual(namedPaths(recipe(unclosed)).checkpoints, ['tiny']);
        assert.equal(namedPaths(recipe(unclosed)).outputs[0], 'out');
    });

    it('is where hints, explanations and completions go on', () => {
        assert.deepEqual(inlayHints(recipe(unclosed), facts()).map(({ label }) => label), ['3 layers']);
        assert.match(JSON.stringify(hover(recipe(unclosed), unclosed.indexOf('gptq') + 1, facts())), /W4A16/);
        const typed = cursor(unclosed.replace('*.o_proj', '*.o|'));
        assert.ok(complete(typed.recipe, typed.offset, facts()).items.some(({ label }) => label === '*.self_attn.o_proj'));
    });

    it('leaves completion inside the broken section as it was', () => {
        const typed = cursor('model: tiny\ncalibration: { data: c.txt, sam|\nquantize: { default: none }\n');
        assert.ok(complete(typed.recipe, typed.offset, facts()).items.some(({ label }) => label === 'samples'));
    });
});
