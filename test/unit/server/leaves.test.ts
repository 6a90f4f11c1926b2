import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { contentsOf, wholeContentsOf } from '../../../server/leaves';
import { parseRecipe, plainValue, type Place, type Recipe } from '../../../server/recipe';
import { validate } from '../../../server/validate';
import { longRecipe } from '../../bench/checkpoint';
import { corpus, edits, type Original } from './fuzz';
import { facts, schema } from './fixture';

/** A place with all that it holds, without the way back up. */
function plain({ parent, slot, children, duplicates, ...own }: Place): unknown {
    return { ...own, isTop: parent === undefined, slot: slot?.alternatives.length, children: children.map(plain), duplicates: duplicates.map(plain) };
}

/** Everything about a recipe; of errors in one place the order is the parser's own affair. */
function told({ root, errors, unresolved, lines }: Recipe): unknown {
    const inOrder = [...errors].sort((a, b) => a.start - b.start || a.end - b.end || (a.message < b.message ? -1 : 1));
    return { root: plain(root), errors: inOrder, unresolved, lines: lines.lineStarts };
}

function agree(text: string, what = text): void {
    assert.deepEqual(told(parseRecipe(text, schema)), told(parseRecipe(text, schema, [], wholeContentsOf)), what);
}

const rules = longRecipe(60, 12);
const long: Original[] = [
    rules,
    rules.replaceAll('\n', '\r\n'),
    rules.replace(/^ {4}(?=- | {2})/gm, '  '),
    `${rules.replace('output: out\n', '')}  # behind the rules\n  objective: importance\noutput: out`,
    rules.replace(/\{ (method: gptq), (scheme: \w+), (group_size: 64) \}/g, '$1\n        $2\n\n        $3'),
    // Names that are given again, and items that are written alike and mean something else.
    rules.replaceAll(/\{ method: gptq, scheme: W8A16, group_size: 64 \}/g, '&way { method: gptq, scheme: W8A16, group_size: 64 }').replaceAll(/\{ method: gptq, scheme: W4A16, group_size: 64 \}/g, '*way'),
    `calibration:\n  data: texts.txt\n  samples: |\n    8\n\n   \n  seed: >-\n    1\n    2\n  text: "one\n    two"\n  other: one\n    two\n\n${rules}`,
].map((text, index) => ({ file: `long ${index}`, text, facts: facts() }));

describe('a recipe that is read entry by entry', function () {
    this.timeout(180_000);

    it('is the recipe that is read as a whole, after thousands of edits of the corpus and of long recipes', async () => {
        for (const [originals, count] of [[await corpus(), 2000], [long, 2000]] as const) {
            for (const { file, text } of edits(originals, count, 5)) agree(text, `${file} ${JSON.stringify(text)}`);
        }
    });

    it('after several edits, and with lines that stand elsewhere', async () => {
        for (const { file, text, offset } of edits([...(await corpus()), ...long], 500, 6)) {
            for (const again of edits([{ file, text, facts: facts() }], 2, offset)) agree(again.text, `${file} ${JSON.stringify(again.text)}`);
            const lines = text.split('\n');
            const at = offset % lines.length;
            for (const line of [` ${lines[at]}`, lines[at]!.trimStart(), `  - ${lines[at]}`, `${lines[at]} x`]) agree(lines.with(at, line).join('\n'));
            agree(lines.toSpliced(at, 1).join('\n'));
        }
    });

    it('finds the same, whatever was read before', async () => {
        for (const { text, facts: known } of edits(await corpus(), 400, 7)) {
            const findings = (recipe: Recipe): unknown => validate(recipe, known).map(({ missing, removable, ...rest }) => ({ ...rest, missing: missing?.keys, removable: removable?.path }));
            assert.deepEqual(findings(parseRecipe(text, schema)), findings(parseRecipe(text, schema, [], wholeContentsOf)), text);
        }
    });

    it('lets an alias mean what had its name last when it was written, as the parser itself does', () => {
        const again = 'a: &x { k: &y 1 }\nb:\n  - &y 2\n  - *y\n  - *x\n  - *y\n  - &x [*y, *x2]\n  - *x\n  - &y 3\n  - *x\n  - *y\n  - &key z: *y\n    v: *key\nc: &x2 4\n';
        const known = again.replace(', *x2', '');
        assert.deepEqual(plainValue(parseRecipe(known, schema).root), parse(known));
        const { unresolved } = parseRecipe(again, schema);
        assert.ok(unresolved.length > 0 && unresolved.every(({ start }) => start === again.indexOf('*x2')), JSON.stringify(unresolved));
        agree(again);
        const inside = parseRecipe('a: &a\n  b: *a\n', schema);
        assert.deepEqual(plainValue(inside.root), { a: { b: {} } });
        agree('a: &a\n  b: *a\n');
    });

    it('does not take a key for the lines that stand for others', () => {
        const nested = `k:\n${Array.from({ length: 9 }, (_, index) => `  a${index}: 1\n`).join('')}`;
        for (const text of [`${nested}k:\n  a0: 1\n`, `k:\n  a8: 1\nb: 2\n`, nested, `k:\n  a8: 1\n`, `${nested}k:\n`]) agree(text);
    });

    it('reads only the entry in which something changed', () => {
        const { contents } = contentsOf(rules);
        const changed = contentsOf(rules.replace('# 3: ', '# 3, which was changed: ')).contents;
        const listOf = (written: typeof contents): readonly unknown[] => written!.entries.find(({ name }) => name === 'quantize')!.value!.entries.find(({ name }) => name === 'rules')!.value!.items.map(({ value }) => value);
        const [before, after] = [listOf(contents), listOf(changed)];
        assert.ok(before.length > 8);
        assert.deepEqual(after.flatMap((item, index) => (item === before[index] ? [] : [index])), [2]);
    });
});
