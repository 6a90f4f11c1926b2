import assert from 'node:assert/strict';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { definitions } from '../../../server/definition';
import { occurrencesAt } from '../../../server/references';
import { rename, renameable, RenameError } from '../../../server/rename';
import { cursor } from './fixture';

const text = `model: tiny
calibration: { data: "c.txt" }
candidates: [gptq-w4a16-g32, { method: rtn, scheme: W3A16 }, &eight gptq-w8a16]
quantize:
  default: { method: gptq, scheme: W4A16, group_size: 32 }
  rules:
    - { layers: "*.mlp.*", use: rtn-w3a16 }
    - { layers: "*.o_proj", use: *eight }
output: out
`;

/** With the cursor in the middle of the nth occurrence of a word. */
function at(word: string, nth = 0, source = text): ReturnType<typeof cursor> {
    let index = -1;
    for (let count = 0; count <= nth; count++) index = source.indexOf(word, index + 1);
    return cursor(`${source.slice(0, index + 1)}|${source.slice(index + 1)}`);
}

function targets(word: string, nth = 0, ran?: string): string[] {
    const { recipe, offset } = at(word, nth);
    const last = ran === undefined ? undefined : { result: {} as never, ran, folder: '/runs/1' };
    return (definitions(recipe, offset, last)?.targets ?? []).map((target) => {
        if (target.kind === 'path') return `${target.format} ${target.path}`;
        return target.kind === 'run' ? `${target.folder}: ${target.ran.text.slice(target.span.start, target.span.end)}` : recipe.text.slice(target.span.start, target.span.end);
    });
}

describe('go to definition', () => {
    it('leads from a path to what it names, and from a pattern to the model', () => {
        assert.deepEqual(targets('tiny'), ['checkpoint tiny']);
        assert.deepEqual(targets('c.txt'), ['path c.txt']);
        assert.deepEqual(targets('out', 1), ['output out']);
        assert.deepEqual(targets('mlp'), ['checkpoint tiny']);
    });

    it('leads from a way to quantize to the candidate that is the same, however it is written', () => {
        assert.deepEqual(targets('W4A16'), ['gptq-w4a16-g32']);
        assert.deepEqual(targets('rtn-w3a16'), ['{ method: rtn, scheme: W3A16 }']);
        assert.deepEqual(targets('gptq-w4a16-g32'), ['gptq-w4a16-g32'], 'a candidate is its own definition');
    });

    it('leads from an alias to its anchor', () => assert.deepEqual(targets('*eight'), ['eight']));

    it('leads from a key to the same place in the recipe that ran last', () => {
        const ran = text.replace('rtn-w3a16', 'rtn-w2a16');
        assert.deepEqual(targets('use', 0, ran), ['/runs/1: use: rtn-w2a16']);
        assert.deepEqual(targets('output', 0, 'model: x\n'), [], 'nothing of it ran');
        assert.deepEqual(targets('use', 0), [], 'nothing ran');
    });
});

describe('rename', () => {
    const renamed = (word: string, name: string, nth = 0, source = text): string => {
        const { recipe, offset } = at(word, nth, source);
        return TextDocument.applyEdits(TextDocument.create('file:///r', 'quant-recipe', 1, recipe.text), rename(recipe, offset, name));
    };

    it('writes a candidate anew wherever the recipe asks for it', () => {
        const after = text.replace('[gptq-w4a16-g32,', '[awq-w4a16,').replace('{ method: gptq, scheme: W4A16, group_size: 32 }', 'awq-w4a16');
        assert.equal(renamed('gptq-w4a16-g32', 'awq-w4a16'), after);
        assert.equal(renamed('gptq, scheme', 'awq-w4a16'), after, 'from where it is used, too');
        assert.equal(renamed('rtn-w3a16', '{ method: rtn, scheme: W2A16 }').match(/\{ method: rtn, scheme: W2A16 \}/g)?.length, 2);
    });

    it('renames an anchor with its aliases', () => {
        assert.equal(renamed('eight', 'big'), text.replaceAll('eight', 'big'));
        assert.equal(renamed('*eight', 'big'), text.replaceAll('eight', 'big'));
    });

    const refusal = (word: string, name: string, source = text): string => {
        try {
            return renamed(word, name, 0, source);
        } catch (error) {
            assert.ok(error instanceof RenameError);
            return error.message;
        }
    };

    it('takes no name that is no way to quantize, and loses no comment', () => {
        assert.match(refusal('gptq-w4a16-g32', 'small'), /"small" is no way to quantize; write for example/);
        assert.match(refusal('gptq-w4a16-g32', 'none'), /no way to quantize/);
        for (const name of ['a b', '', '*q', '&z', '#x', '"q"', 'a,b', 'a:', 'ä', 'x.y']) assert.match(refusal('eight', name), /cannot be the name of an anchor; write letters/, name);
        const commented = 'candidates:\n  - method: gptq # best\n    scheme: W4A16\nquantize:\n  default: gptq-w4a16\n';
        assert.equal(refusal('gptq-w4a16', 'awq-w4a16', commented), 'a comment in line 2 would be lost');
    });

    it('gives no anchor a name that another one has, or that an alias speaks of', () => {
        const two = 'model: tiny\ncandidates: [&a gptq-w4a16, &b gptq-w8a16]\nquantize:\n  default: *a\n  rules: [{ layers: x, use: *c }]\n';
        assert.equal(refusal('*a', 'b', two), '"b" is in use already, in line 2');
        assert.equal(refusal('a gptq', 'c', two), '"c" is in use already, in line 5');
        assert.equal(refusal('*a', 'a', two), two, 'its own name changes nothing');
        assert.equal(refusal('*a', 'b-2', two), two.replaceAll('&a', '&b-2').replaceAll('*a', '*b-2'));
    });

    it('says what can be renamed, and that nothing else can', () => {
        const shown = (word: string, nth = 0): string | undefined => {
            const { recipe, offset } = at(word, nth);
            return renameable(recipe, offset)?.label;
        };
        assert.equal(shown('rtn-w3a16'), 'rtn-w3a16');
        assert.equal(shown('*eight'), 'eight');
        for (const word of ['model', 'tiny', 'default', 'mlp', 'use']) assert.equal(shown(word), undefined, word);
    });

    it('takes no bare pattern for an alias', () => {
        const { recipe, offset } = cursor('quantize:\n  rules:\n    - { layers: *.o_pr|oj, use: none }\n');
        assert.equal(occurrencesAt(recipe, offset), undefined);
    });
});
