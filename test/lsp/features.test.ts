import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ResponseError } from 'vscode-jsonrpc/node';
import type {
    ClientCapabilities, CodeAction, CodeLens, CompletionItem, CompletionList, DocumentHighlight, Hover, InlayHint, Location, LocationLink, Position, SelectionRange, SemanticTokens, TextEdit, WorkspaceEdit,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import type { ParetoPointChoice } from '../../protocol/language';
import { TOKEN_TYPES } from '../../server/semantic';
import { Server } from './client';

const model = path.resolve('samples/checkpoints/tiny-llama-pydoc');
const data = path.resolve('samples/calibration.jsonl');
const ran = `# What ran.
model: checkpoint
calibration: { data: ${data}, samples: 8, sequence_length: 64 }
candidates: [gptq-w4a16, rtn-w3a16]
quantize:
  default: gptq-w4a16 # four bits
  budget: { bits_per_weight: 4 }
output: out
`;
const CAPABILITIES: ClientCapabilities = {
    textDocument: { definition: { linkSupport: true }, completion: { completionItem: { resolveSupport: { properties: ['documentation'] } } } },
};

function apply(text: string, edits: readonly TextEdit[]): string {
    return TextDocument.applyEdits(TextDocument.create('file:///r', 'quant-recipe', 1, text), [...edits]);
}

/** Of the character in the middle of a word. */
function at(text: string, word: string, last = false): Position {
    const document = TextDocument.create('file:///r', 'quant-recipe', 1, text);
    return document.positionAt((last ? text.lastIndexOf(word) : text.indexOf(word)) + 1);
}

describe('editing over stdio', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    const uri = pathToFileURL(path.join(folder, 'some.quant.yaml')).href;
    const run = path.join(folder, 'runs', 'one');
    let server: Server;

    before(() => {
        mkdirSync(path.join(folder, 'checkpoint'));
        for (const file of ['config.json', 'model.safetensors']) cpSync(path.join(model, file), path.join(folder, 'checkpoint', file));
        mkdirSync(run, { recursive: true });
        writeFileSync(path.join(run, 'recipe.quant.yaml'), ran);
        const names = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((kind) => `model.layers.0.self_attn.${kind}`);
        const measurement = { of: 'outputs', noise: 1, sqnr_db: 31.25, state: 'finite' };
        const layers = names.map((name) => ({ name, block: 0, outputs: 8, inputs: 8, rule: 'budget', asked: 'gptq-w4a16', applied: 'gptq-w4a16', fallback: null, candidates: { 'gptq-w4a16': measurement, 'rtn-w3a16': measurement }, achieved: measurement }));
        const points = [[1, 1], [1, 0], [0, 0]].map((assignment, index) => ({ bits_per_weight: 3 + index / 2, bytes: 1e6, predicted_loss: 1 / (index + 1), min_sqnr_db: 20, assignment }));
        const pareto = { objective: 'noise', units: [names.slice(0, 3), names.slice(3)], unmeasured: [], points };
        writeFileSync(path.join(run, 'result.json'), JSON.stringify({ format: 1, run: 'one', candidates: ['gptq-w4a16', 'rtn-w3a16'], layers, pareto, scores: { kl: { value: 0.02 } } }));
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    async function start(text: string, options: object | null = {}, capabilities = CAPABILITIES): Promise<void> {
        server = new Server();
        await server.initialize(options, capabilities);
        await server.open(uri, text);
    }
    afterEach(async () => {
        assert.equal(await server.stop(), 0);
        assert.equal(server.errors, '');
    });

    /** As the extension does when a run has ended; resolves once the server has read it and the checkpoint. */
    async function withResult(): Promise<void> {
        await server.notify('quant/results', { results: { [uri]: path.join(run, 'result.json') } });
        await server.until(async () => {
            const hints = await server.request<InlayHint[]>('textDocument/inlayHint', uri, { range: { start: { line: 0, character: 0 }, end: { line: 99, character: 0 } } });
            return ['dB', 'bits'].every((word) => hints.some(({ label }) => JSON.stringify(label).includes(word))) ? true : undefined;
        }, () => 'the hints of the result');
    }

    it('formats a document and some of its lines, and indents after Enter', async () => {
        const untidy = 'model:   x\nquantize:\n    default:  none   # keep\n    rules: []\n';
        const options = { tabSize: 2, insertSpaces: true };
        await start(untidy);
        assert.equal(apply(untidy, await server.request<TextEdit[]>('textDocument/formatting', uri, { options })), 'model: x\nquantize:\n  default: none   # keep\n  rules: []\n');
        const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 3 } };
        assert.equal(apply(untidy, await server.request<TextEdit[]>('textDocument/rangeFormatting', uri, { options, range })), untidy.replace('   x', ' x'));
        await server.notify('textDocument/didChange', { textDocument: { uri, version: 2 }, contentChanges: [{ text: 'quantize:\n' }] });
        const indented = await server.request<TextEdit[]>('textDocument/onTypeFormatting', uri, { options, position: { line: 1, character: 0 }, ch: '\n' });
        assert.equal(apply('quantize:\n', indented), 'quantize:\n  ');
    });

    it('leads to checkpoint, candidate and last run, finds uses and renames them', async () => {
        await start(ran);
        await withResult();
        const definition = (word: string, last = false): Promise<LocationLink[]> => server.request('textDocument/definition', uri, { position: at(ran, word, last) });
        assert.deepEqual((await definition('checkpoint')).map(({ targetUri }) => targetUri), [pathToFileURL(path.join(folder, 'checkpoint', 'config.json')).href]);
        const [candidate] = await definition('gptq-w4a16', true);
        assert.deepEqual([candidate?.targetUri, candidate?.targetRange.start], [uri, { line: 3, character: 13 }]);
        const [key] = await definition('budget');
        assert.deepEqual([key?.targetUri, key?.targetRange.start], [pathToFileURL(path.join(run, 'recipe.quant.yaml')).href, { line: 6, character: 2 }]);
        const position = at(ran, 'gptq-w4a16');
        assert.equal((await server.request<Location[]>('textDocument/references', uri, { position, context: { includeDeclaration: true } })).length, 2);
        assert.equal((await server.request<DocumentHighlight[]>('textDocument/documentHighlight', uri, { position })).length, 2);
        const prepared = await server.request<{ placeholder: string }>('textDocument/prepareRename', uri, { position });
        assert.equal(prepared.placeholder, 'gptq-w4a16');
        const { changes } = await server.request<WorkspaceEdit>('textDocument/rename', uri, { position, newName: 'awq-w4a16' });
        assert.equal(apply(ran, changes![uri]!), ran.replaceAll('gptq', 'awq'));
        await assert.rejects(server.request('textDocument/rename', uri, { position, newName: 'small' }), (error: unknown) => error instanceof ResponseError && /no way to quantize/.test(error.message));
    });

    it('grows selections and colours words', async () => {
        await start(ran);
        const [selection] = await server.request<SelectionRange[]>('textDocument/selectionRange', uri, { positions: [at(ran, 'gptq-w4a16')] });
        assert.deepEqual([selection?.range.end.character, selection?.parent?.range.end.character], [17, 23], 'gptq, then gptq-w4a16');
        const { data: tokens } = await server.request<SemanticTokens>('textDocument/semanticTokens/full', uri);
        assert.deepEqual(tokens.slice(0, 5), [1, 0, 5, TOKEN_TYPES.indexOf('property'), 0]);
        const range = { start: { line: 3, character: 0 }, end: { line: 3, character: 99 } };
        const some = await server.request<SemanticTokens>('textDocument/semanticTokens/range', uri, { range });
        assert.deepEqual(some.data.filter((_, index) => index % 5 === 3).map((type) => TOKEN_TYPES[type]), ['property', 'function', 'enumMember', 'function', 'enumMember']);
    });

    it('sends the documentation of a completion when it is asked for', async () => {
        await start('candidates: []\n');
        const position = { line: 0, character: 13 };
        const { items } = await server.request<CompletionList>('textDocument/completion', uri, { position });
        const item = items.find(({ label }) => label === 'gptq-w4a16')!;
        assert.ok(items.every(({ documentation }) => documentation === undefined));
        const resolved = await server.connection.sendRequest<CompletionItem>('completionItem/resolve', item);
        assert.match(JSON.stringify(resolved.documentation), /4-bit integer weights/);
    });

    it('sends it at once to an editor that does not ask', async () => {
        await start('candidates: []\n', {}, {});
        const { items } = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 0, character: 13 } });
        assert.match(JSON.stringify(items.find(({ label }) => label === 'gptq-w4a16')?.documentation), /4-bit integer weights/);
    });

    it('fixes all that is certain when asked for just that', async () => {
        const text = ran.replace('samples: 8', 'samples: "8"').replace('budget', 'budgett');
        await start(text);
        await server.diagnostics(uri, (found) => found.length > 1);
        const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
        const actions = await server.request<CodeAction[]>('textDocument/codeAction', uri, { range, context: { diagnostics: [], only: ['source.fixAll'] } });
        assert.deepEqual(actions.map(({ kind }) => kind), ['source.fixAll.quant']);
        assert.equal(apply(text, actions[0]!.edit!.changes![uri]!), text.replace('"8"', '8'));
        const plain = await server.request<CodeAction[]>('textDocument/codeAction', uri, { range, context: { diagnostics: [] } });
        assert.deepEqual(plain, []);
    });

    const inQuantize = { range: { start: { line: 5, character: 4 }, end: { line: 5, character: 4 } }, context: { diagnostics: [] } };
    const second = ran.replace('  default: gptq-w4a16', '  default: rtn-w3a16')
        .replace('  budget: { bits_per_weight: 4 }\n', '  rules:\n    # Point 2 of 3 of run one: 3.5 bits per weight, predicted loss 0.5000.\n    - layers: "model.layers.*.self_attn.o_proj"\n      use: gptq-w4a16\n');

    it('offers the points of the front to an editor that lets one choose', async () => {
        await start(ran, { choosePoint: true });
        await withResult();
        const actions = await server.request<CodeAction[]>('textDocument/codeAction', uri, inQuantize);
        assert.deepEqual(actions.map(({ title, command }) => [title, command?.command, command?.arguments]), [['Replace rules by Pareto point…', 'quant.replaceRules', [uri]]]);
        const points = await server.connection.sendRequest<ParetoPointChoice[]>('quant/paretoPoints', { uri });
        assert.deepEqual(points.map(({ number }) => number), [1, 2, 3]);
        assert.equal(apply(ran, await server.connection.sendRequest<TextEdit[]>('quant/paretoEdits', { uri, point: 2 })), second);
        assert.equal(await server.connection.sendRequest('quant/paretoEdits', { uri, point: 4 }), null);
    });

    it('offers some of them as they are to one that does not', async () => {
        await start(ran);
        await withResult();
        const actions = await server.request<CodeAction[]>('textDocument/codeAction', uri, inQuantize);
        assert.deepEqual(actions.map(({ title }) => title.replace(/: [\d.]+ bits .*/, '')), ['Replace rules: Point 1 of 3', 'Replace rules: Point 2 of 3', 'Replace rules: Point 3 of 3']);
        assert.equal(apply(ran, actions[1]!.edit!.changes![uri]!), second);
    });

    it('says in hover and lens what the last run measured', async () => {
        const text = ran.replace('  budget: { bits_per_weight: 4 }', '  rules:\n    - { layers: "*.q_proj", use: none }');
        await start(text);
        await withResult();
        const hover = await server.request<Hover>('textDocument/hover', uri, { position: at(text, 'q_proj') });
        assert.match(JSON.stringify(hover.contents), /5 layers.*of the model.*`gptq-w4a16` \| 31\.2 \| 31\.2/);
        const lenses = await server.request<CodeLens[]>('textDocument/codeLens', uri);
        assert.deepEqual(lenses.map(({ command }) => command?.title), ['$(play) Run', '$(pulse) Measure sensitivity', '$(dashboard) Estimate', '$(graph) Show last result (SQNR mean 31.2, min 31.2 dB; KL 0.02000; recipe changed since)']);
    });

    it('starts nothing where nothing may be started', async () => {
        await start(ran, { canRun: false });
        assert.deepEqual(await server.request<CodeLens[]>('textDocument/codeLens', uri), []);
    });
});

describe('a document that lies nowhere', () => {
    it('is helped by the schema alone', async () => {
        const server = new Server();
        await server.initialize(null, { workspace: { didChangeWatchedFiles: { dynamicRegistration: true } } });
        await server.until(() => (server.refreshes.includes('client/registerCapability') ? true : undefined), () => 'a wish to watch files');
        for (const uri of ['untitled:Untitled-1', 'vscode-vfs://github/a/b.quant.yaml', 'git:/a.quant.yaml?%7B%7D']) {
            const text = 'model:  x\ncandidates: [gptq-w4a16]\nquantize:\n  default: gptq-w4a16\n';
            await server.open(uri, text);
            await server.diagnostics(uri, (found) => found.some(({ code }) => code === 'missing-key'));
            const { items } = await server.request<CompletionList>('textDocument/completion', uri, { position: { line: 0, character: 8 } });
            assert.deepEqual(items, []);
            assert.match(JSON.stringify(await server.request<Hover>('textDocument/hover', uri, { position: at(text, 'gptq') })), /Paper/);
            assert.equal(apply(text, await server.request<TextEdit[]>('textDocument/formatting', uri, { options: { tabSize: 2, insertSpaces: true } })), text.replace('  x', ' x'));
            const definition = await server.request<Location[]>('textDocument/definition', uri, { position: at(text, 'gptq', true) });
            assert.deepEqual(definition.map((location) => [location.uri, location.range.start.line]), [[uri, 1]]);
        }
        assert.equal(await server.stop(), 0);
        assert.equal(server.errors, '');
    });
});
