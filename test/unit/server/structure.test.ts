import assert from 'node:assert/strict';
import type { DocumentSymbol } from 'vscode-languageserver/node';
import { documentLinks, documentSymbols, foldingRanges } from '../../../server/structure';
import { recipe, sample } from './fixture';

function outline(symbols: readonly DocumentSymbol[], depth = 0): string[] {
    return symbols.flatMap(({ name, detail, children }) => [
        '  '.repeat(depth) + name + (detail ? ` = ${detail}` : ''), ...outline(children ?? [], depth + 1),
    ]);
}

describe('the outline', () => {
    it('shows keys with their values and rules by their patterns', () => {
        const shown = outline(documentSymbols(recipe('model: tiny\nquantize:\n  default: none\n  rules:\n    - layers: ["*.a", b]\n      use: none\n')));
        assert.deepEqual(shown, ['model = tiny', 'quantize', '  default = none', '  rules', '    *.a, b', '      layers', '        *.a = *.a', '        b = b', '      use = none']);
    });

    it('keeps every selection inside its range, as the protocol demands', () => {
        const check = ({ range, selectionRange, children }: DocumentSymbol): void => {
            const key = ({ line, character }: { line: number; character: number }): number => line * 1000 + character;
            assert.ok(key(range.start) <= key(selectionRange.start) && key(selectionRange.end) <= key(range.end));
            children?.forEach(check);
        };
        for (const text of [sample, 'a:\nb: [', '? x\n: y\n', 'a: &x {b: 1}\nc: *x\n']) documentSymbols(recipe(text)).forEach(check);
    });
});

describe('folding', () => {
    it('folds sections and blocks of comments', () => {
        const ranges = foldingRanges(recipe('# one\n# two\nmodel: x\nquantize:\n  rules:\n    - layers: x\n      use: none\noutput: y\n'));
        assert.deepEqual(ranges.map(({ startLine, endLine, kind }) => [startLine, endLine, kind]), [[3, 6, undefined], [4, 6, undefined], [5, 6, undefined], [0, 1, 'comment']]);
    });
});

describe('links', () => {
    it('lead to what exists, without the quotes', () => {
        const text = 'model: tiny\ncalibration: { data: "c.txt" }\nevaluate: { data: missing.txt }\noutput: out\n';
        const links = documentLinks(recipe(text), (path, format) => (path === 'missing.txt' ? undefined : `x:${format}/${path}`));
        assert.deepEqual(links.map(({ target, range }) => [target, range.start.line, range.start.character, range.end.character]), [
            ['x:checkpoint/tiny', 0, 7, 11], ['x:path/c.txt', 1, 22, 27], ['x:output/out', 3, 8, 11],
        ]);
    });

    it('lead from the key of the output, or of what was measured, to the directory of the last run', () => {
        const run = { name: 'one', uri: 'x:runs/one' };
        const linked = (text: string): (string | undefined)[][] => documentLinks(recipe(text), () => undefined, run).map(({ target, tooltip, range }) => [target, tooltip, text.split('\n')[range.start.line]!.slice(range.start.character, range.end.character)]);
        assert.deepEqual(linked('model: tiny\nquantize: { default: none }\noutput: out\n'), [['x:runs/one', 'Open the directory of run one', 'output']]);
        assert.deepEqual(linked('model: tiny\nquantize: { default: none }\n'), [['x:runs/one', 'Open the directory of run one', 'quantize']]);
        assert.deepEqual(linked('model: tiny\n'), []);
    });
});
