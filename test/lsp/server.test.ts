import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { CancellationTokenSource, ResponseError } from 'vscode-jsonrpc/node';
import type { CodeAction, CodeLens, CompletionList, DocumentLink, DocumentSymbol, FoldingRange, Hover, InlayHint, MarkupContent, Range } from 'vscode-languageserver/node';
import { schemaDocument } from '../unit/server/fixture';
import { Server } from './client';

const model = path.resolve('samples/checkpoints/tiny-llama-pydoc');
const data = path.resolve('samples/calibration.jsonl');
const text = (rule: string): string => `model: checkpoint
calibration: { data: ${data}, samples: 8, sequence_length: 64 }
candidates: [gptq-w4a16]
quantize:
  default: gptq-w4a16
  rules:
    - layers: ${rule}
      use: none
output: out
`;
const all: Range = { start: { line: 0, character: 0 }, end: { line: 1000, character: 0 } };
const codes = (diagnostics: readonly { code?: unknown }[]): string => diagnostics.map(({ code }) => String(code)).join();

describe('the language server over stdio', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    const uri = pathToFileURL(path.join(folder, 'some.quant.yaml')).href;
    let server: Server;

    before(() => {
        mkdirSync(path.join(folder, 'checkpoint'));
        for (const file of ['config.json', 'model.safetensors', 'tokenizer_config.json']) cpSync(path.join(model, file), path.join(folder, 'checkpoint', file));
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    beforeEach(async () => {
        server = new Server();
        await server.initialize();
    });
    afterEach(async () => {
        assert.equal(await server.stop(), 0);
        assert.equal(server.errors, '');
    });

    /** Opens the recipe and waits until the checkpoint's header has been read: an unmatched pattern is only known then. */
    async function openRead(rule = '"*.down_prj"'): Promise<void> {
        await server.open(uri, text(rule));
        await server.diagnostics(uri, (found) => codes(found) === 'no-layer-matches');
    }

    it('shows a diagnostic, and takes it away after an edit', async () => {
        await openRead();
        const [shown] = await server.diagnostics(uri, (found) => found.length === 1);
        assert.match(JSON.stringify(shown!.message), /\*\.down_prj.* matches no layer of checkpoint; did you mean .*\*\.down_proj/);
        assert.deepEqual(shown!.range, { start: { line: 6, character: 14 }, end: { line: 6, character: 26 } });
        assert.equal(shown!.codeDescription?.href, 'https://example.org/diagnostics.md#no-layer-matches');
        const range = { start: { line: 6, character: 24 }, end: { line: 6, character: 24 } };
        await server.notify('textDocument/didChange', { textDocument: { uri, version: 2 }, contentChanges: [{ range, text: 'o' }] });
        assert.deepEqual(await server.diagnostics(uri, (_, version) => version === 2), []);
    });

    it('keeps answering on a document that is half written', async () => {
        await server.open(uri, 'modle: x\ncalibration: { data: a\nquantize:\n  default: ');
        await server.diagnostics(uri, (found) => codes(found).includes('yaml-syntax') && codes(found).includes('unknown-key'));
        const { items } = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 3, character: 11 } });
        assert.ok(items.some(({ label }) => label === 'gptq-w4a16'));
    });

    it('completes patterns from the checkpoint, and folders beside the recipe', async () => {
        await openRead();
        const patterns = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 6, character: 15 } });
        assert.equal(patterns.items.find(({ label }) => label === '*.mlp.down_proj')?.detail, '5 layers');
        const folders = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 0, character: 7 } });
        assert.equal(folders.items.find(({ label }) => label === 'checkpoint')?.detail, 'checkpoint');
    });

    it('hovers, hints, folds, outlines and links', async () => {
        await openRead('["*.down_prj", "*.o_proj"]');
        const hover = await server.request<Hover>('textDocument/hover', uri, { position: { line: 0, character: 8 } });
        assert.match(JSON.stringify(hover.contents), /LlamaForCausalLM.*5 blocks/);
        const hints = await server.request<InlayHint[]>('textDocument/inlayHint', uri, { range: all });
        assert.deepEqual(hints.map(({ label }) => label), ['no layer', '5 layers', '4.125 bits, 4.36 MB']);
        const symbols = await server.request<DocumentSymbol[]>('textDocument/documentSymbol', uri);
        assert.deepEqual(symbols.map(({ name }) => name), ['model', 'calibration', 'candidates', 'quantize', 'output']);
        assert.ok((await server.request<FoldingRange[]>('textDocument/foldingRange', uri)).some(({ startLine }) => startLine === 3));
        const links = await server.request<DocumentLink[]>('textDocument/documentLink', uri);
        assert.deepEqual(links.map(({ target }) => target), [pathToFileURL(path.join(folder, 'checkpoint', 'config.json')).href, pathToFileURL(data).href]);
    });

    it('offers the nearest pattern as the preferred fix', async () => {
        await openRead();
        const actions = await server.request<CodeAction[]>('textDocument/codeAction', uri, { range: { start: { line: 6, character: 16 }, end: { line: 6, character: 16 } }, context: { diagnostics: [] } });
        assert.deepEqual(actions.map(({ title, isPreferred }) => [title, isPreferred]), [['Change to "*.down_proj"', true]]);
        assert.equal(actions[0]?.edit?.changes?.[uri]?.[0]?.newText, '"*.down_proj"');
    });

    it('shows runs and results in lenses and hints, and asks the editor to fetch them again', async () => {
        await openRead();
        const run = path.join(folder, 'runs', 'one');
        mkdirSync(run, { recursive: true });
        writeFileSync(path.join(run, 'recipe.quant.yaml'), text('"*.down_prj"'));
        const measurement = { noise: 1, sqnr_db: 31.25, state: 'finite', bits_per_weight: 4.1, damping: null, fallback: null };
        const layer = { name: 'model.layers.0.mlp.up_proj', rule: 'default', asked: 'gptq-w4a16', applied: 'gptq-w4a16', fallback: null, candidates: { 'gptq-w4a16': measurement }, achieved: measurement };
        writeFileSync(path.join(run, 'result.json'), JSON.stringify({ format: 1, run: 'one', candidates: ['gptq-w4a16'], layers: [layer] }));
        await server.notify('quant/results', { results: { [uri]: path.join(run, 'result.json') } });
        await server.notify('quant/running', { recipes: { [uri]: { run: 'two', label: '', stage: 'running' } } });
        await server.until(async () => {
            const hints = await server.request<InlayHint[]>('textDocument/inlayHint', uri, { range: all });
            return hints.map(({ label }) => JSON.stringify(label)).sort().join() === '"4.125 bits, 3.88 MB","mean 31.2, min 31.2 dB","no layer","→ 31.2 dB"' ? true : undefined;
        }, () => 'the hints of the result');
        assert.ok(server.refreshes.includes('workspace/inlayHint/refresh') && server.refreshes.includes('workspace/codeLens/refresh'));
        const lenses = await server.request<CodeLens[]>('textDocument/codeLens', uri);
        assert.deepEqual(lenses.map(({ command }) => command?.title), ['$(debug-stop) Cancel', '$(graph) Show last result (SQNR mean 31.2, min 31.2 dB)']);
        await server.notify('quant/running', { recipes: {} });
        const idle = await server.request<CodeLens[]>('textDocument/codeLens', uri);
        assert.deepEqual(idle[0]?.command, { title: '$(play) Run', command: 'quant.runRecipe', arguments: [uri] });
    });

    it('reads a checkpoint again when it is told that files changed', async () => {
        await openRead();
        const config = path.join(folder, 'checkpoint', 'config.json');
        const before = readFileSync(config, 'utf8');
        writeFileSync(config, before.replace('LlamaForCausalLM', 'SomethingForCausalLM').replace(/"num_hidden_layers": \d+/, '"num_hidden_layers": 77'));
        try {
            await server.notify('quant/filesChanged', { uris: [pathToFileURL(config).href] });
            await server.diagnostics(uri, (found) => codes(found) === 'model-unsupported');
        } finally {
            writeFileSync(config, before);
        }
    });

    it('gives up a request that was cancelled', async () => {
        await openRead();
        // The server is busy with these when the cancellation arrives.
        const busy = Array.from({ length: 60 }, () => server.request('textDocument/completion', uri, { position: { line: 4, character: 11 } }));
        const source = new CancellationTokenSource();
        const answer = server.connection.sendRequest('textDocument/hover', { textDocument: { uri }, position: { line: 0, character: 8 } }, source.token);
        source.cancel();
        await assert.rejects(answer, (error: unknown) => error instanceof ResponseError && error.code === -32800);
        await Promise.all(busy);
    });

    it('knows documents that lie nowhere', async () => {
        await server.open('untitled:Untitled-1', 'modle: x\n');
        await server.diagnostics('untitled:Untitled-1', (found) => codes(found).includes('unknown-key'));
    });

    it('forgets the diagnostics of a closed document', async () => {
        await openRead();
        await server.notify('textDocument/didClose', { textDocument: { uri } });
        await server.diagnostics(uri, (found) => found.length === 0);
    });
});

describe('the language server of another editor', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    const uri = pathToFileURL(path.join(folder, 'some.quant.yaml')).href;
    const recipe = `model: ${model}\ncalibration: { data: ${data}, samples: 8, sequence_length: 64 }\nquantize:\n  default: awq-w8a8\n  rules:\n    - { layers: ["*.o_proj", lm_head, "*.o_proj"], use: none }\noutput: out\n`;
    let server: Server;
    after(() => rmSync(folder, { recursive: true, force: true }));
    beforeEach(() => (server = new Server()));
    afterEach(async () => {
        assert.equal(await server.stop(), 0);
        assert.equal(server.errors, '');
    });

    it('needs no more than the protocol: it diagnoses, follows edits, completes, hovers and fixes', async () => {
        const { capabilities } = await server.initialize(null);
        assert.equal(capabilities.textDocumentSync, 2);
        await server.open(uri, recipe);
        const found = await server.diagnostics(uri, (diagnostics) => diagnostics.length === 2);
        assert.deepEqual(found.map(({ code, severity, tags, relatedInformation }) => [code, severity, tags, relatedInformation?.map(({ location }) => location.range.start)]), [
            ['method-scheme', 1, undefined, undefined], ['layers-repeated', 2, [1], [{ line: 5, character: 17 }]],
        ]);
        const at = { line: 3, character: 13 };
        const fixes = await server.request<CodeAction[]>('textDocument/codeAction', uri, { range: { start: at, end: at }, context: { diagnostics: [] } });
        const edit = fixes.find(({ title }) => title === 'Change to gptq-w8a8')!.edit!.changes![uri]![0]!;
        await server.notify('textDocument/didChange', { textDocument: { uri, version: 2 }, contentChanges: [{ range: edit.range, text: edit.newText }] });
        assert.deepEqual((await server.diagnostics(uri, (_, version) => version === 2)).map(({ code }) => code), ['layers-repeated']);
        const { items } = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 5, character: 18 } });
        assert.ok(items.some(({ label }) => label === '*.mlp.down_proj'));
        const { contents } = await server.request<Hover>('textDocument/hover', uri, { position: { line: 3, character: 15 } });
        assert.match(JSON.stringify(contents), /GPTQ/);
    });

    it('speaks the language of the bundle that it is given, and English where it has no text', async () => {
        const bundle = path.join(folder, 'bundle.l10n.de.json');
        writeFileSync(bundle, JSON.stringify({ '{0} has no scheme {1}; methods that have it: {2}': '{0} hat kein Schema {1}; Methoden, die es haben: {2}' }));
        await server.initialize({ l10nUri: pathToFileURL(bundle).href });
        await server.open(uri, recipe);
        const [scheme, repeated] = await server.diagnostics(uri, (diagnostics) => diagnostics.length === 2);
        assert.match(JSON.stringify(scheme!.message), /^"awq hat kein Schema W8A8; Methoden, die es haben: gptq, smoothquant/);
        assert.equal(repeated!.message, 'every layer that "*.o_proj" matches is named before it');
    });

    it('speaks it in hovers, lenses, actions, completion and the reader of checkpoints, too', async () => {
        const bundle = path.join(folder, 'bundle.l10n.fr.json');
        const texts = JSON.parse(readFileSync('l10n/bundle.l10n.json', 'utf8')) as Record<string, string>;
        writeFileSync(bundle, JSON.stringify(Object.fromEntries(Object.keys(texts).map((text) => [text, `«${text}»`]))));
        await server.initialize({ l10nUri: pathToFileURL(bundle).href, codeLens: true, canRun: true });
        writeFileSync(path.join(folder, 'config.json'), '{}');
        writeFileSync(path.join(folder, 'model.safetensors'), 'short');
        await server.open(uri, recipe);
        await server.diagnostics(uri, (diagnostics) => diagnostics.length === 2);
        const at = (line: number, character: number): object => ({ position: { line, character } });
        const hover = await server.request<Hover>('textDocument/hover', uri, at(0, 12));
        assert.match(JSON.stringify(hover.contents), /«[\d.]+ M parameters in [^»]*»/);
        const lenses = await server.request<CodeLens[]>('textDocument/codeLens', uri, {});
        assert.ok(lenses.length > 0 && lenses.every(({ command }) => /^\$\(\w+\) «.*»$/.test(command!.title)), JSON.stringify(lenses));
        const range = { start: { line: 3, character: 13 }, end: { line: 3, character: 13 } };
        const fixes = await server.request<CodeAction[]>('textDocument/codeAction', uri, { range, context: { diagnostics: [] } });
        assert.ok(fixes.length > 0 && fixes.every(({ title }) => /^«.*»$/s.test(title)), JSON.stringify(fixes.map(({ title }) => title)));
        const hints = await server.request<InlayHint[]>('textDocument/inlayHint', uri, { range: { start: { line: 0, character: 0 }, end: { line: 6, character: 0 } } });
        assert.ok(hints.length > 0 && hints.every(({ label }) => /«.*»/.test(JSON.stringify(label))), JSON.stringify(hints.map(({ label }) => label)));
        const { items } = await server.request<CompletionList>('textDocument/completion', uri, at(5, 18));
        assert.ok(items.some(({ detail }) => /^«\d+ layers»$/.test(detail ?? '')));
        // What the schema says of keys, values and methods' arguments.
        const { description } = schemaDocument.$defs!.Calibration!.properties!.samples!;
        const key = await server.request<Hover>('textDocument/hover', uri, at(1, recipe.split('\n')[1]!.indexOf('samples:')));
        assert.match(description!, /Default: 128\.$/);
        assert.equal((key.contents as MarkupContent).value.split('\n')[2], `«${description!}»`);
        assert.doesNotMatch((key.contents as MarkupContent).value, /«Default:/);
        const told = (found: CompletionList): string[] => found.items.map(({ documentation }) => (documentation as MarkupContent).value);
        const keys = told(await server.request<CompletionList>('textDocument/completion', uri, at(6, 0)));
        assert.ok(keys.length > 3 && keys.every((text) => /^«.*»$/s.test(text)), JSON.stringify(keys));
        const uses = told(await server.request<CompletionList>('textDocument/completion', uri, at(3, 11)));
        assert.ok(uses.length > 20 && uses.every((text) => /^«.*»$/s.test(text)), JSON.stringify(uses.find((text) => !/^«.*»$/s.test(text))));
        const long = recipe.replace('awq-w8a8', '{ method: gptq, scheme: W4A16 }');
        await server.notify('textDocument/didChange', { textDocument: { uri, version: 2 }, contentChanges: [{ text: long }] });
        const method = await server.request<Hover>('textDocument/hover', uri, at(3, 21));
        const lines = (method.contents as MarkupContent).value.split('\n').filter((line) => line.startsWith('- '));
        // The first sentence of each, or its values.
        assert.ok(lines.length > 3 && lines.every((line) => /^- `\w+` — (?:«[^»]*|`\w+`(?:, `\w+`)*)(?: \(«default: .*»\))?$/.test(line)), lines.join('\n'));
        await server.notify('textDocument/didChange', { textDocument: { uri, version: 3 }, contentChanges: [{ text: 'model: .\n' }] });
        const found = await server.diagnostics(uri, (diagnostics, version) => version === 3 && diagnostics.some(({ code }) => code === 'model-broken'));
        assert.match(JSON.stringify(found.find(({ code }) => code === 'model-broken')!.message), /^"«.* is broken: «it has 5 bytes, too few for a safetensors header»»"$/);
    });

    it('finds its schema by itself and offers no lens whose command nobody has', async () => {
        const { capabilities } = await server.initialize(null);
        assert.equal(capabilities.codeLensProvider, undefined);
        const uri = 'untitled:plain';
        await server.open(uri, 'modle: x\n');
        const [found] = await server.diagnostics(uri, (diagnostics) => diagnostics.some(({ code }) => code === 'unknown-key'));
        assert.equal(found?.codeDescription, undefined);
    });
});

describe('the language server with another schema', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    after(() => rmSync(folder, { recursive: true, force: true }));

    it('offers a method that is one more file of the engine, with its arguments, and has no lens when told so', async () => {
        // A copy of the engine with one more file writes its schemas.
        cpSync(path.resolve('engine/quant_engine'), path.join(folder, 'quant_engine'), { recursive: true, filter: (file) => path.basename(file) !== '__pycache__' });
        copyFileSync(path.resolve('engine/tests/toy_method.py'), path.join(folder, 'quant_engine', 'methods', 'toy.py'));
        execFileSync(path.resolve('.venv/bin/python'), ['-m', 'quant_engine', 'schema', '--out', folder], { cwd: folder, env: { ...process.env, PYTHONPATH: folder } });
        const schemaPath = path.join(folder, 'recipe.schema.json');

        const server = new Server();
        const { capabilities } = await server.initialize({ schemaPath, codeLens: false });
        assert.equal(capabilities.codeLensProvider, undefined);
        const uri = 'untitled:toy';
        await server.open(uri, 'candidates:\n  - \n  - { method: toy,  }\n');
        const values = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 1, character: 4 } });
        assert.ok(values.items.some(({ label }) => label === 'toy-w4a16'));
        const keys = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 2, character: 18 } });
        assert.ok(keys.items.some(({ label }) => label === 'zeal'));
        assert.ok(!keys.items.some(({ label }) => label === 'damping'));
        assert.equal(await server.stop(), 0);
    });
});
