import assert from 'node:assert/strict';
import type { TextEdit } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { codeActions, fixAll } from '../../../server/actions';
import { complete } from '../../../server/complete';
import { diagnostic } from '../../../server/diagnostic';
import { NO_FACTS } from '../../../server/facts';
import { validate } from '../../../server/validate';
import { cursor, recipe } from './fixture';

const uri = 'file:///r';
const TITLE = 'Write out the merged keys';

function applied(text: string, edits: TextEdit[]): string {
    return TextDocument.applyEdits(TextDocument.create(uri, 'quant-recipe', 1, text), edits);
}

function writtenOut(text: string): string | undefined {
    const parsed = recipe(text);
    const found = validate(parsed, NO_FACTS);
    const action = codeActions(parsed, uri, found, { start: 0, end: text.length }, (finding) => diagnostic(parsed, uri, finding, '')).find(({ title }) => title === TITLE);
    return action && applied(text, action.edit!.changes![uri]!);
}

describe('merge keys', () => {
    it('are refused where they stand, and nothing that they would bring is missing besides', () => {
        const text = 'model: tiny\ncandidates:\n  - &four { method: gptq, scheme: W4A16 }\n  - { <<: *four, group_size: 64 }\nquantize: { <<: { default: none } }\noutput: out\n';
        const found = validate(recipe(text), NO_FACTS).filter(({ code }) => code === 'unknown-key' || code === 'missing-key');
        assert.deepEqual(found.map(({ code, span }) => [code, text.slice(span.start, span.end)]), [['unknown-key', '<<'], ['unknown-key', '<<']]);
    });

    it('are written out in flow and block style, what the mapping has itself left out', () => {
        const anchor = 'candidates:\n  - &four { method: gptq, scheme: W4A16, damping: 0.1 }\n';
        assert.equal(writtenOut(`${anchor}  - { <<: *four, damping: 0.2 }\n`), `${anchor}  - { method: gptq, scheme: W4A16, damping: 0.2 }\n`);
        assert.equal(
            writtenOut(`${anchor}quantize:\n  default:\n    <<: *four # four bits\n    group_size: 64\n`),
            `${anchor}quantize:\n  default:\n    method: gptq\n    scheme: W4A16\n    damping: 0.1 # four bits\n    group_size: 64\n`,
        );
        assert.equal(writtenOut(`${anchor}  - method: rtn\n    scheme: W4A16\n    damping: 1\n    <<: *four\n`), `${anchor}  - method: rtn\n    scheme: W4A16\n    damping: 1\n`);
    });

    it('of several mappings bring of each key the first, and those of merged mappings too', () => {
        const text = 'quantize:\n  rules:\n    - { <<: [{ layers: "*.a" }, { layers: b, use: none }] }\n';
        assert.equal(writtenOut(text), 'quantize:\n  rules:\n    - { layers: "*.a", use: none }\n');
        const nested = 'candidates:\n  - &a { method: gptq, scheme: W4A16 }\n  - &b { method: gptq, <<: { scheme: W8A16, group_size: 64 } }\n  - { <<: *b }\n';
        const parsed = recipe(nested);
        const fixed = fixAll(parsed, uri, validate(parsed, NO_FACTS))!;
        assert.equal(
            applied(nested, fixed.edit!.changes![uri]!),
            'candidates:\n  - &a { method: gptq, scheme: W4A16 }\n  - &b { method: gptq, scheme: W8A16, group_size: 64 }\n  - { method: gptq, scheme: W8A16, group_size: 64 }\n',
        );
    });

    it('that name no mapping can only be removed', () => {
        assert.equal(writtenOut('quantize: { <<: none, default: none }\n'), undefined);
        assert.equal(writtenOut('quantize: { <<: *nothing, default: none }\n'), undefined);
    });

    it('do not keep completion from knowing the mapping', () => {
        const labels = (marked: string): string[] => {
            const { recipe: parsed, offset } = cursor(marked);
            return complete(parsed, offset, NO_FACTS).items.map(({ label }) => label);
        };
        const keys = labels('candidates:\n  - &four { method: gptq, scheme: W4A16 }\n  - { <<: *four, | }\n');
        assert.ok(keys.includes('damping') && keys.includes('group_size'));
        assert.ok(!keys.includes('method') && !keys.includes('scheme') && !keys.includes('smoothing'));
        assert.ok(labels('candidates:\n  - &four { method: gptq, scheme: W4A16 }\nquantize:\n  default:\n    <<: *four\n    dam|\n').includes('damping'));
    });
});
