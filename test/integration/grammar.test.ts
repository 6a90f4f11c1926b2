import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { createOnigScanner, createOnigString, loadWASM } from 'vscode-oniguruma';
import { INITIAL, parseRawGrammar, Registry, type IGrammar, type StateStack } from 'vscode-textmate';

const root = path.resolve(__dirname, '..', '..');
const folder = path.join(root, 'test', 'integration', 'grammar');

/** Files of the recipe's grammar and of the YAML grammars that this VS Code brings, by their scopes. */
function grammarFiles(): ReadonlyMap<string, string> {
    const yaml = vscode.extensions.all.filter(({ id }) => id === 'vscode.yaml');
    assert.equal(yaml.length, 1, 'VS Code has its YAML extension');
    const { extensionPath } = yaml[0]!;
    const manifest = yaml[0]!.packageJSON as { contributes: { grammars: { scopeName: string; path: string }[] } };
    const files = manifest.contributes.grammars.map(({ scopeName, path: file }): [string, string] => [scopeName, path.join(extensionPath, file)]);
    return new Map([...files, ['source.quant-recipe', path.join(root, 'syntaxes', 'quant-recipe.tmLanguage.json')]]);
}

/** The recipe's grammar and the one that it includes, read by the engine that VS Code reads them with. */
async function recipeGrammar(): Promise<IGrammar> {
    await loadWASM({ data: readFileSync(path.join(root, 'node_modules', 'vscode-oniguruma', 'release', 'onig.wasm')) });
    const files = grammarFiles();
    const registry = new Registry({
        onigLib: Promise.resolve({ createOnigScanner, createOnigString }),
        loadGrammar: (scope) => {
            const file = files.get(scope);
            return Promise.resolve(file === undefined ? null : parseRawGrammar(readFileSync(file, 'utf8'), file));
        },
    });
    const grammar = await registry.loadGrammar('source.quant-recipe');
    assert.ok(grammar);
    return grammar;
}

/** Below each line its pieces with the scopes that are the recipe's own, and what YAML says of the others. */
function painted(grammar: IGrammar, text: string): string {
    let state: StateStack = INITIAL;
    return text.split('\n').map((line) => {
        const { tokens, ruleStack } = grammar.tokenizeLine(line, state);
        state = ruleStack;
        const shown = tokens.flatMap(({ startIndex, endIndex, scopes }) => {
            const own = scopes.filter((scope) => scope.endsWith('.quant-recipe') && scope !== 'source.quant-recipe');
            const piece = line.slice(startIndex, endIndex).trim();
            const inherited = scopes.findLast((scope) => /^(entity\.name\.tag|comment|constant|string)/.test(scope));
            return piece === '' ? [] : [`    ${piece}  ${own.length > 0 ? own.join(' ') : (inherited ?? '-')}`];
        });
        return [line, ...shown].join('\n');
    }).join('\n');
}

describe('the grammar of recipes', () => {
    let grammar: IGrammar;
    before(async () => {
        grammar = await recipeGrammar();
    });

    it('paints a recipe as the snapshot has it (without the file it is written anew: look at the difference)', () => {
        const shown = painted(grammar, readFileSync(path.join(folder, 'recipe.quant.yaml'), 'utf8'));
        const snapshot = path.join(folder, 'recipe.snapshot');
        if (!existsSync(snapshot)) {
            writeFileSync(snapshot, shown);
            assert.fail('there was no snapshot; now there is');
        }
        assert.equal(shown, readFileSync(snapshot, 'utf8'));
    });

    const scopeOf = (line: string, piece: string): string | undefined => {
        const row = painted(grammar, line).split('\n').find((shown) => shown.startsWith(`    ${piece}  `));
        return row?.slice(6 + piece.length);
    };

    it('knows short forms, schemes, methods and layers where they are values', () => {
        assert.equal(scopeOf('default: gptq-w4a16-g64', 'gptq'), 'entity.name.function.method.quant-recipe');
        assert.equal(scopeOf('default: gptq-w4a16-g64', 'w4a16'), 'constant.other.scheme.quant-recipe');
        assert.equal(scopeOf('default: gptq-w4a16-g64', 'g64'), 'constant.numeric.group-size.quant-recipe');
        assert.equal(scopeOf('use: { method: some_method, scheme: W4A16_ASYM }', 'some_method'), 'entity.name.function.method.quant-recipe');
        assert.equal(scopeOf('use: { method: some_method, scheme: W4A16_ASYM }', 'W4A16_ASYM'), 'constant.other.scheme.quant-recipe');
        assert.equal(scopeOf('use: none', 'none'), 'constant.language.keep.quant-recipe');
        assert.match(scopeOf('layers: "*.mlp"', '*') ?? '', /variable\.other\.layer\.quant-recipe keyword\.operator\.wildcard\.quant-recipe/);
    });

    it('paints no key, comment or path as one of them', () => {
        for (const line of ['gptq-w4a16: 3', '# gptq-w4a16', 'model: out/gptq-w4a16', 'output: ./rtn-w3a16-out', 'method: 3']) assert.ok(!painted(grammar, line).includes('.quant-recipe'), line);
    });
});
