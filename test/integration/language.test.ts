import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import { until } from './api';

/** Waits until the diagnostics of a document are as wanted. */
async function diagnostics(uri: vscode.Uri, wanted: (codes: readonly string[]) => boolean): Promise<void> {
    const codes = (): string[] => vscode.languages.getDiagnostics(uri).map(({ code }) => String(typeof code === 'object' ? code.value : code));
    await until('the diagnostics', () => wanted(codes())).catch((error: unknown) => {
        throw new Error(`diagnostics are ${codes().join(', ') || 'none'}`, { cause: error });
    });
}

describe('recipes in the editor', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    const uri = vscode.Uri.file(path.join(folder, 'some.quant.yaml'));
    after(() => rmSync(folder, { recursive: true, force: true }));

    it('are checked, completed and explained, and fixed', async () => {
        writeFileSync(uri.fsPath, 'model: nowhere\ncalibration: { data: nowhere.txt }\nquantize:\n  defualt: gptq-w4a16\noutput: out\n');
        const document = await vscode.workspace.openTextDocument(uri);
        assert.equal(document.languageId, 'quant-recipe');
        const editor = await vscode.window.showTextDocument(document);
        await diagnostics(uri, (codes) => ['model-missing', 'data-missing', 'unknown-key', 'missing-key'].every((code) => codes.includes(code)));

        const range = new vscode.Range(3, 3, 3, 3);
        const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>('vscode.executeCodeActionProvider', uri, range);
        const fix = actions.find(({ title }) => title === 'Change to default');
        assert.ok(fix?.isPreferred && fix.edit);
        assert.ok(await vscode.workspace.applyEdit(fix.edit));
        await diagnostics(uri, (codes) => codes.length === 2 && !codes.includes('unknown-key'));

        const value = new vscode.Position(3, 11);
        const completions = await vscode.commands.executeCommand<vscode.CompletionList>('vscode.executeCompletionItemProvider', uri, value);
        assert.ok(completions.items.some(({ label }) => label === 'rtn-w4a16'));
        const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', uri, value);
        const explained = hovers.flatMap(({ contents }) => contents as vscode.MarkdownString[]).map((content) => content.value);
        assert.match(explained.join('\n'), /4-bit/);
        const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', uri);
        assert.deepEqual(lenses.map(({ command }) => command?.command), ['quant.runRecipe.here', 'quant.measureSensitivity.here', 'quant.estimate.here']);
        assert.ok(await editor.edit((edit) => edit.delete(new vscode.Range(0, 0, 1, 0))));
        await diagnostics(uri, (codes) => codes.includes('missing-key') && !codes.includes('model-missing'));
    });

    it('are formatted, renamed, followed, coloured and selected', async () => {
        const file = vscode.Uri.file(path.join(folder, 'other.quant.yaml'));
        writeFileSync(file.fsPath, 'model:   nowhere\ncandidates: [gptq-w4a16]\nquantize:\n    default: gptq-w4a16 # four\noutput: out\n');
        const document = await vscode.workspace.openTextDocument(file);
        await vscode.window.showTextDocument(document);
        await diagnostics(file, (codes) => codes.includes('model-missing'));
        await vscode.commands.executeCommand('editor.action.formatDocument');
        await until('the formatted text', () => document.getText() === 'model: nowhere\ncandidates: [gptq-w4a16]\nquantize:\n  default: gptq-w4a16 # four\noutput: out\n');

        const use = new vscode.Position(3, 13);
        const links = await vscode.commands.executeCommand<(vscode.Location | vscode.LocationLink)[]>('vscode.executeDefinitionProvider', file, use);
        assert.deepEqual(links.map((link) => ('targetRange' in link ? link.targetRange : link.range).start), [new vscode.Position(1, 13)]);
        const renamed = await vscode.commands.executeCommand<vscode.WorkspaceEdit>('vscode.executeDocumentRenameProvider', file, use, 'awq-w4a16');
        assert.ok(await vscode.workspace.applyEdit(renamed));
        assert.equal(document.getText().match(/awq-w4a16/g)?.length, 2);
        const tokens = await vscode.commands.executeCommand<vscode.SemanticTokens>('vscode.provideDocumentSemanticTokens', file);
        assert.equal(tokens.data.length % 5, 0);
        assert.ok(tokens.data.length > 5 * 8);
        const [selection] = await vscode.commands.executeCommand<vscode.SelectionRange[]>('vscode.executeSelectionRangeProvider', file, [use]);
        assert.equal(document.getText(selection!.parent!.range), 'awq-w4a16');
        await document.save();
    });
});
