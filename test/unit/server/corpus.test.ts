import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { diagnostic } from '../../../server/diagnostic';
import { validate } from '../../../server/validate';
import { Workspace } from '../../../server/workspace';
import { recipe as parse, schema } from './fixture';

interface Expected {
    readonly line: number;
    readonly column: number;
    readonly end_line: number;
    readonly end_column: number;
    readonly severity: string;
    readonly code: string;
    readonly message: string | null;
}

const folder = path.resolve('test/corpus');
const expected = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as { file: string; diagnostics: Expected[]; editor?: Expected[] }[];

/** Within a line the order is free. */
function inOrder(found: readonly Expected[]): Expected[] {
    return [...found].sort((a, b) => a.line - b.line || a.column - b.column || a.code.localeCompare(b.code) || (a.message ?? '').localeCompare(b.message ?? ''));
}

describe('the corpus', () => {
    it('has more than 150 recipes, and shows every code that does not need a disk of its own', () => {
        assert.ok(expected.length >= 150, String(expected.length));
        const page = readFileSync(path.resolve('docs/diagnostics.md'), 'utf8').split('# Codes of runs and commands')[0]!;
        const codes = [...page.matchAll(/^## ([a-z0-9]+(?:-[a-z0-9]+)+|secret|tokenizer)$/gm)].map(([, code]) => code!);
        const shown = new Set(expected.flatMap(({ diagnostics, editor = [] }) => [...diagnostics, ...editor].map(({ code }) => code)));
        assert.deepEqual(codes.filter((code) => !shown.has(code)), ['deprecated-key', 'disk-space']);
    });

    it('has an entry for every recipe', () => {
        const files = readdirSync(folder).filter((file) => file.endsWith('.quant.yaml'));
        assert.deepEqual(expected.map(({ file }) => file).sort(), files.sort());
    });

    for (const { file, diagnostics: everywhere, editor = [] } of expected) {
        // What the editor says beside a syntax error, with which the command line ends.
        const diagnostics = inOrder([...everywhere, ...editor]);
        it(`${file}: ${diagnostics.length} findings`, async () => {
            const uri = pathToFileURL(path.join(folder, file)).href;
            const recipe = parse(readFileSync(path.join(folder, file), 'utf8').replace(/^\uFEFF/, ''));
            const workspace = new Workspace(schema.architectures, () => undefined);
            await workspace.refresh(uri, recipe);
            const found = inOrder(validate(recipe, workspace.factsFor(uri, recipe)).map((finding): Expected => {
                const { start, end } = diagnostic(recipe, uri, finding, '').range;
                return { line: start.line + 1, column: start.character + 1, end_line: end.line + 1, end_column: end.character + 1, severity: finding.severity, code: finding.code, message: finding.message };
            }));
            // What an entry leaves open is taken from the finding that it is compared with.
            const comparable = found.map((finding, index) => ({
                ...finding,
                message: diagnostics[index]?.message === null ? null : finding.message,
            }));
            assert.deepEqual(comparable, diagnostics);
        });
    }
});
