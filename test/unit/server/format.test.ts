import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { TextEdit } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { format } from '../../../server/format';
import { indentNewLine } from '../../../server/on-type';
import { offsetAt } from '../../../server/positions';
import { plainValue } from '../../../server/recipe';
import { soundPart } from '../../../server/sound';
import { cursor, recipe, sample } from './fixture';

function apply(text: string, edits: readonly TextEdit[]): string {
    return TextDocument.applyEdits(TextDocument.create('file:///r', 'quant-recipe', 1, text), [...edits]);
}

const formatted = (text: string): string => apply(text, format(recipe(text)));

const untidy = `model:    tiny${'   '}



# c
calibration: {data: c.txt,samples:   3}   # few
candidates:
- gptq-w4a16
-   {method: gptq,scheme: W4A16}
quantize:
    # about the default
    default: none
    rules:
    -   layers: ["a" , b]
        use: none
        # the first
    # all rules
    - layers: [
           a,
        b
        ]
      use:
         method: gptq
         scheme: W4A16

output: >-
       out

`;

const tidy = `model: tiny

# c
calibration: { data: c.txt, samples: 3 }   # few
candidates:
  - gptq-w4a16
  - { method: gptq, scheme: W4A16 }
quantize:
  # about the default
  default: none
  rules:
    - layers: ["a", b]
      use: none
      # the first
    # all rules
    - layers: [
        a,
        b
      ]
      use:
        method: gptq
        scheme: W4A16

output: >-
       out
`;

describe('formatting', () => {
    it('puts every level two columns deeper, and keeps comments, order, quotes and lines', () => assert.equal(formatted(untidy), tidy));

    it('leaves what is tidy as it is', () => {
        assert.deepEqual(format(recipe(tidy)), []);
        assert.deepEqual(format(recipe(sample)), []);
    });

    it('moves blocks of text with their key, and empty brackets close at once', () => {
        assert.equal(formatted('a:\n     b: |\n        x\n\n          y\n     c: 1\n'), 'a:\n  b: |\n     x\n\n       y\n  c: 1\n');
        assert.equal(formatted('a: {  }\nb: [ ]\nc: [ x,y ]'), 'a: {}\nb: []\nc: [x, y]\n');
    });

    it('keeps the line ends of the document, and a byte-order mark', () => {
        assert.equal(formatted('\uFEFFmodel:  x\r\n\r\n\r\n\r\noutput: y'), '\uFEFFmodel: x\r\n\r\noutput: y\r\n');
    });

    it('keeps anchors, aliases and the space before their colon', () => {
        assert.equal(formatted('a:   &x   { b: 1 }\nc:   *x\n*x :   2\n'), 'a: &x { b: 1 }\nc: *x\n*x : 2\n');
    });

    it('changes nothing in a text that is no YAML', () => assert.deepEqual(format(recipe('model:   x\n  output: [\n')), []));

    it('of some lines changes only those, and no depth that would mean something else', () => {
        const text = 'model:   x\nquantize:\n      default:   none\n      rules:   []\n';
        const line = (index: number): { start: number; end: number } => {
            const start = offsetAt(text, { line: index, character: 0 });
            return { start, end: start + text.slice(start).indexOf('\n') };
        };
        assert.equal(apply(text, format(recipe(text), line(0))), text.replace('   x', ' x'));
        assert.equal(apply(text, format(recipe(text), line(2))), text.replace('default:   none', 'default: none'));
        assert.equal(apply(text, format(recipe(text), { start: line(2).start, end: line(3).end })), 'model:   x\nquantize:\n  default: none\n  rules: []\n');
    });

    it('says the same of every recipe of the corpus, and has nothing left to do the second time', () => {
        let changed = 0;
        for (const file of readdirSync(path.resolve('test/corpus')).filter((name) => name.endsWith('.quant.yaml'))) {
            const written = readFileSync(path.resolve('test/corpus', file), 'utf8');
            const untidied = written.replace(/^( +)/gm, '$1$1').replaceAll(', ', ' ,  ').replaceAll('{ ', '{').replaceAll(': ', ':   ');
            for (const text of [written, untidied]) {
                const after = formatted(text);
                assert.deepEqual(plainValue(recipe(after).root), plainValue(recipe(text).root), file);
                assert.equal(formatted(after), after, file);
                if (soundPart(recipe(text)).faults.length > 0) assert.equal(after, text, file);
                if (after !== text) changed++;
            }
        }
        assert.ok(changed > 30, `${changed} were untidy`);
    });
});

describe('a new line', () => {
    const below = (marked: string): string => {
        const { recipe: parsed, offset } = cursor(marked);
        return apply(parsed.text, indentNewLine(parsed, offset));
    };

    it('stands deeper below a key that holds a section or a list', () => {
        assert.equal(below('quantize:\n|'), 'quantize:\n  ');
        assert.equal(below('quantize:\n  rules: # why\n|\noutput: x\n'), 'quantize:\n  rules: # why\n    \noutput: x\n');
    });

    it('stands where its neighbour does otherwise', () => {
        assert.equal(below('quantize:\n  default: none\n|'), 'quantize:\n  default: none\n  ');
        assert.equal(below('model:\n  |'), 'model:\n', 'a path is no section');
        assert.equal(below('quantize:\n  # note\n|'), 'quantize:\n  # note\n  ');
        assert.equal(below('quantize:\n  default: none\n\n|'), 'quantize:\n  default: none\n\n  ');
    });

    it('goes on with the keys of an item, and with the items of a list of words', () => {
        assert.equal(below('quantize:\n  rules:\n    - layers: x\n|'), 'quantize:\n  rules:\n    - layers: x\n      ');
        assert.equal(below('candidates:\n  - gptq-w4a16\n|'), 'candidates:\n  - gptq-w4a16\n  ');
        assert.equal(below('candidates:\n  -\n|'), 'candidates:\n  -\n    ');
    });

    it('stands deeper between brackets', () => {
        assert.equal(below('candidates: [\n|\n]\n'), 'candidates: [\n  \n]\n');
        assert.equal(below('candidates: [\n  gptq-w4a16,\n|\n]\n'), 'candidates: [\n  gptq-w4a16,\n  \n]\n');
        assert.equal(below('quantize:\n  rules: [\n    { layers: x,\n|\n'), 'quantize:\n  rules: [\n    { layers: x,\n      \n');
    });

    it('is left alone in a block of text, and where something stands already', () => {
        assert.equal(below('output: >\n|'), 'output: >\n');
        assert.equal(below('quantize:\n|default: none\n'), 'quantize:\ndefault: none\n');
    });
});
