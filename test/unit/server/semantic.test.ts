import assert from 'node:assert/strict';
import { encodeTokens, semanticTokens, TOKEN_TYPES } from '../../../server/semantic';
import { selectionRange } from '../../../server/selection';
import { offsetAt } from '../../../server/positions';
import { cursor, facts, recipe, whole } from './fixture';

/** `text:type` of every token. */
function tokens(text: string, known = facts()): string[] {
    return semanticTokens(recipe(text), known).map(({ start, end, type, modifiers }) => [text.slice(start, end), type, ...modifiers].join(':'));
}

describe('semantic tokens', () => {
    it('tell methods, schemes, group sizes, numbers and words apart', () => {
        assert.deepEqual(tokens('candidates: [gptq-w4a16-g64, fp8_dynamic, { method: rtn, scheme: W3A16, group_size: 32 }]'), [
            'candidates:property', 'gptq:function', 'w4a16:enumMember', 'g64:number', 'fp8_dynamic:enumMember', 'method:property', 'rtn:function',
            'scheme:property', 'W3A16:enumMember', 'group_size:property', '32:number',
        ]);
        assert.deepEqual(tokens('quantize: { default: none, budget: { size: 5 GB, objective: noise } }').slice(-7), [
            'default:property', 'none:keyword', 'budget:property', 'size:property', '5 GB:number', 'objective:property', 'noise:enumMember',
        ]);
    });

    it('take patterns apart that match, and leave those that match nothing, and keys that do not exist', () => {
        assert.deepEqual(tokens(whole('  default: none\n  rules: [{ layers: "*.mlp.up_proj", use: none }]')).filter((shown) => /mlp|^\*/.test(shown)), ['*:operator', '.mlp.up_proj:variable']);
        assert.ok(!tokens(whole('  default: none\n  rules: [{ layers: "*.nothing", use: none }]')).some((shown) => /nothing|operator/.test(shown)));
        assert.deepEqual(tokens('modle: x\nmethod: gptq\n'), []);
    });

    it('show anchors and aliases as what they are', () => {
        const shown = tokens('candidates: [&a gptq-w4a16]\nquantize: { default: *a }\n');
        assert.deepEqual(shown.filter((one) => one.includes('variable')), ['a:variable:declaration', 'a:variable']);
    });

    it('are relative to each other in the protocol, and within a range only those of it', () => {
        const text = 'model: tiny\noutput: out\n';
        const parsed = recipe(text);
        const [property, string] = [TOKEN_TYPES.indexOf('property'), TOKEN_TYPES.indexOf('string')];
        assert.deepEqual(encodeTokens(parsed, semanticTokens(parsed, facts())), [0, 0, 5, property, 0, 0, 7, 4, string, 0, 1, 0, 6, property, 0, 0, 8, 3, string, 0]);
        assert.equal(semanticTokens(parsed, facts(), { start: 12, end: text.length }).length, 2);
    });
});

describe('selection', () => {
    it('grows from a word to value, entry, section and text', () => {
        const { recipe: parsed, offset } = cursor('model: x\nquantize:\n  rules:\n    - layers: "*.down_p|roj"\n      use: none\n');
        const grown: string[] = [];
        for (let range: ReturnType<typeof selectionRange> | undefined = selectionRange(parsed, offset); range; range = range.parent) {
            grown.push(parsed.text.slice(offsetAt(parsed.text, range.range.start), offsetAt(parsed.text, range.range.end)));
        }
        assert.deepEqual(grown, [
            'down_proj', '*.down_proj', '"*.down_proj"', 'layers: "*.down_proj"', 'layers: "*.down_proj"\n      use: none',
            '- layers: "*.down_proj"\n      use: none',
            'rules:\n    - layers: "*.down_proj"\n      use: none',
            'quantize:\n  rules:\n    - layers: "*.down_proj"\n      use: none', 'model: x\nquantize:\n  rules:\n    - layers: "*.down_proj"\n      use: none', parsed.text,
        ]);
    });

    it('holds what it is asked about, everywhere', () => {
        const { text } = recipe('a: [1, {b: "c"}]\n\n# x\nd:\n - e\n');
        for (let offset = 0; offset <= text.length; offset++) {
            for (let range: ReturnType<typeof selectionRange> | undefined = selectionRange(recipe(text), offset); range; range = range.parent) {
                assert.ok(offsetAt(text, range.range.start) <= offset && offset <= offsetAt(text, range.range.end), `${offset}`);
            }
        }
    });
});
