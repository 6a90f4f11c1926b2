import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { Log } from '../base/log';
import type { Explanations } from '../recipe/explanations';
import { findingProblems, recipeProblems, type Finding, type RecipeProblem } from './problems';
import { readResult } from './record';
import type { Run } from './run';
import type { RunStore } from './store';
import { isActive } from './state';

const SEVERITIES: Readonly<Record<RecipeProblem['severity'], vscode.DiagnosticSeverity>> = {
    error: vscode.DiagnosticSeverity.Error,
    warning: vscode.DiagnosticSeverity.Warning,
    information: vscode.DiagnosticSeverity.Information,
};

/** Problems of the newest run of each recipe, on the recipe's lines, until the recipe is edited or run again. */
export class RunDiagnostics implements vscode.Disposable {
    private readonly collection = vscode.languages.createDiagnosticCollection('quant-run');
    private readonly disposables: { dispose(): void }[] = [this.collection];
    private readonly source = vscode.l10n.t('quant run');

    constructor(
        private readonly store: RunStore,
        private readonly log: Log,
        private readonly explanations: Promise<Explanations | undefined>,
    ) {
        this.disposables.push(
            store.onChange(({ after }) => after && this.changed(after)),
            vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
                if (contentChanges.length > 0) this.collection.delete(document.uri);
            }),
        );
    }

    /** What kept a run from starting, as far as the language server has not said it itself. */
    async showFindings(recipe: vscode.Uri, findings: readonly Finding[]): Promise<void> {
        const explanations = await this.explanations;
        const said = vscode.languages.getDiagnostics(recipe).filter(({ source }) => source !== this.source);
        const isSaid = ({ code, start }: RecipeProblem): boolean => said.some((other) => codeOf(other) === code && other.range.start.line === start.line);
        this.collection.set(recipe, findingProblems(findings).filter((problem) => !isSaid(problem)).map((problem) => this.diagnostic(problem, explanations)));
    }

    dispose(): void {
        for (const item of this.disposables) item.dispose();
    }

    private changed(run: Run): void {
        if (this.store.of(run.recipe)[0]?.directory !== run.directory) return;
        if (isActive(run.state)) this.collection.delete(vscode.Uri.file(run.recipe));
        else this.show(run).catch((error: unknown) => this.log.error(`problems of ${run.id}: ${String(error)}`));
    }

    private async show(run: Run): Promise<void> {
        const { record } = run;
        if (!record || (await this.editedSince(run.recipe, record.created))) return;
        const problems = recipeProblems(record, run.hasResult ? await readResult(run.directory) : undefined);
        const explanations = await this.explanations;
        this.collection.set(vscode.Uri.file(run.recipe), problems.map((problem) => this.diagnostic(problem, explanations)));
    }

    private diagnostic(problem: RecipeProblem, explanations: Explanations | undefined): vscode.Diagnostic {
        const start = new vscode.Position(problem.start.line, problem.start.character);
        const end = problem.end ? new vscode.Position(problem.end.line, problem.end.character) : start.with({ character: Number.MAX_SAFE_INTEGER });
        const diagnostic = new vscode.Diagnostic(new vscode.Range(start, end), problem.message, SEVERITIES[problem.severity]);
        diagnostic.code = explanations ? { value: problem.code, target: explanations.of(problem.code) } : problem.code;
        diagnostic.source = this.source;
        return diagnostic;
    }

    /** Lines of a recipe that was edited since do not mean the same any more. */
    private async editedSince(recipe: string, created: string): Promise<boolean> {
        try {
            const open = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === recipe);
            return (open?.isDirty ?? false) || (await stat(recipe)).mtimeMs > Date.parse(created);
        } catch {
            return true;
        }
    }
}

function codeOf({ code }: vscode.Diagnostic): string {
    return String(typeof code === 'object' ? code.value : code);
}
