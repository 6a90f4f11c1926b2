import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { root } from '../../../scripts/lib/paths.mjs';

const bundle = path.join(root, 'l10n', 'bundle.l10n.json');

/** The first arguments of all calls of `l10n.t` and, in panels, of `t`: the English texts are the keys. */
function stringsOf(file: string): string[] {
    const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
        if (ts.isCallExpression(node) && /^(vscode\.)?l10n\.t$|^t$/.test(node.expression.getText())) {
            const [first] = node.arguments;
            if (first && ts.isStringLiteralLike(first)) found.push(first.text);
        }
        ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
}

/** What the recipe's schema says of keys and values, which the language server shows. */
function schemaTexts(value: unknown): string[] {
    if (typeof value !== 'object' || value === null) return [];
    const { description, enumDescriptions } = value as { readonly description?: unknown; readonly enumDescriptions?: Readonly<Record<string, string>> };
    return [...(typeof description === 'string' ? [description] : []), ...Object.values(enumDescriptions ?? {}), ...Object.values(value).flatMap(schemaTexts)];
}

describe('the texts to translate', () => {
    it('are listed in l10n/bundle.l10n.json, all and only they (npm test with UPDATE_L10N=1 writes it)', () => {
        const files = ['src', 'webview', 'server', 'protocol'].flatMap((folder) =>
            readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).map((file) => path.join(root, folder, file)));
        const strings = [...new Set([...files.flatMap(stringsOf), ...schemaTexts(JSON.parse(readFileSync(path.join(root, 'schemas', 'recipe.schema.json'), 'utf8')))])].sort();
        const text = `${JSON.stringify(Object.fromEntries(strings.map((string) => [string, string])), null, 2)}\n`;
        if (process.env.UPDATE_L10N) writeFileSync(bundle, text);
        assert.equal(readFileSync(bundle, 'utf8'), text);
    });

    it('of the manifest are all there, and no other', () => {
        const used = new Set([...readFileSync(path.join(root, 'package.json'), 'utf8').matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key));
        const there = Object.keys(JSON.parse(readFileSync(path.join(root, 'package.nls.json'), 'utf8')) as object);
        assert.deepEqual(there.sort(), [...used].sort());
    });
});
