import * as vscode from 'vscode';

/** Codes that have no section of their own stand in the table of this one. */
const RUN_CODES = 'codes-of-runs-and-commands';

/** The page behind the codes of diagnostics. */
export class Explanations {
    private constructor(
        private readonly page: vscode.Uri,
        private readonly sections: ReadonlySet<string>,
    ) {}

    /** undefined: it was not packaged. */
    static async read(extension: vscode.Uri): Promise<Explanations | undefined> {
        const page = vscode.Uri.joinPath(extension, 'docs', 'diagnostics.md');
        try {
            const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(page));
            return new Explanations(page, new Set([...text.matchAll(/^## ([a-z0-9-]+)$/gm)].map(([, code]) => code!)));
        } catch {
            return undefined;
        }
    }

    get url(): string {
        return this.page.toString();
    }

    /** Where a code is explained. */
    of(code: string): vscode.Uri {
        return this.page.with({ fragment: this.sections.has(code) ? code : RUN_CODES });
    }
}
