import * as vscode from 'vscode';
import { State, type LanguageClient } from 'vscode-languageclient/node';
import { DisposableList, type Disposable } from '../base/events';

const SELECTOR: vscode.DocumentSelector = { language: 'quant-recipe' };

/** The state of the recipe in the active editor, beside the language's name in the status bar. */
export class RecipeStatus implements Disposable {
    private readonly life = new DisposableList();
    private readonly item: vscode.LanguageStatusItem;

    constructor(private readonly client: LanguageClient) {
        this.item = this.life.add(vscode.languages.createLanguageStatusItem('quant.recipe', SELECTOR));
        this.item.name = vscode.l10n.t('Quant Recipe');
        this.life.add(client.onDidChangeState(() => this.update()));
        this.life.add(vscode.languages.onDidChangeDiagnostics(() => this.update()));
        this.life.add(vscode.window.onDidChangeActiveTextEditor(() => this.update()));
        this.update();
    }

    private update(): void {
        const { item } = this;
        item.busy = this.client.state === State.Starting;
        if (this.client.state === State.Stopped) {
            item.text = vscode.l10n.t('Recipes are not checked');
            item.detail = vscode.l10n.t('The language server has stopped; the log says why.');
            item.command = { command: 'quant.showLog', title: vscode.l10n.t('Show Log') };
            item.severity = vscode.LanguageStatusSeverity.Error;
            return;
        }
        const uri = vscode.window.activeTextEditor?.document.uri;
        const found = uri ? vscode.languages.getDiagnostics(uri) : [];
        const errors = found.filter(({ severity }) => severity === vscode.DiagnosticSeverity.Error).length;
        const isRight = errors === 0;
        item.text = isRight ? vscode.l10n.t('Recipe can run') : vscode.l10n.t('Recipe cannot run');
        item.detail = found.length === 0 ? undefined : vscode.l10n.t('{0} errors, {1} warnings', errors, found.length - errors);
        item.command = isRight
            ? { command: 'quant.runRecipe', title: vscode.l10n.t('Run') }
            : { command: 'workbench.actions.view.problems', title: vscode.l10n.t('Show Problems') };
        item.severity = isRight ? vscode.LanguageStatusSeverity.Information : vscode.LanguageStatusSeverity.Warning;
    }

    dispose(): void {
        this.life.dispose();
    }
}
