import assert from 'node:assert/strict';
import { anyLayerPattern, layerPattern } from '../../../protocol/pattern';

describe('layer patterns', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
        ['lm_head', 'lm_head', true], ['lm_head', 'lm_heads', false], ['lm_head', 'x.lm_head', false],
        ['*', '', true], ['*', 'model.layers.0.mlp.up_proj', true],
        ['*.mlp.down_proj', 'model.layers.11.mlp.down_proj', true], ['*.mlp.down_proj', 'mlp.down_proj', false],
        ['model.layers.*.mlp.*', 'model.layers.3.self_attn.mlp.x', true], ['*down*', 'model.layers.0.mlp.down_proj', true],
        ['?.a', '1.a', true], ['?.a', '11.a', false], ['?', '', false],
        ['layers.[0-3].x', 'layers.2.x', true], ['layers.[0-3].x', 'layers.4.x', false], ['layers.[!0-3].x', 'layers.4.x', true],
        ['[abc]', 'b', true], ['[a-]', '-', true], ['[-a]', '-', true], ['[]a]', ']', true], ['[!]a]', ']', false], ['[^a]', 'b', true], ['[\\]', '\\', true],
        ['[z-a]', 'm', false], ['[z-a]', 'z', false], ['[a', '[a', true], ['[]', '[]', true], ['a.b', 'axb', false], ['a+(b)|c$', 'a+(b)|c$', true],
        ['', '', true], ['', 'a', false], ['a*b*c', 'abbc', true], ['a*b*c', 'abb', false], ['😀?', '😀x', true], ['?', '😀', true],
        ['a*a', 'a', false], ['a*a', 'aa', true], ['ab*ba', 'aba', false], ['*ab*ab', 'xab', false], ['**b', 'ab', true], ['\ude00*', '😀', false], ['[a]*', 'ab', true],
    ];
    for (const [pattern, name, expected] of cases) {
        it(`${JSON.stringify(pattern)} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(name)}`, () =>
            assert.equal(layerPattern(pattern)(name), expected));
    }

    it('take no exponential time', () => {
        const pattern = layerPattern(`${'*a'.repeat(200)}*b`);
        assert.equal(pattern('a'.repeat(2000)), false);
    });

    it('match as a list when any one does', () => {
        const matches = anyLayerPattern(['a', 'b*']);
        assert.deepEqual(['a', 'bc', 'c'].map(matches), [true, true, false]);
    });
});
