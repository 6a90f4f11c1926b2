import * as vscode from 'vscode';
import { recipeName } from './naming';
import type { Finding } from './problems';
import type { Run } from './run';
import { isActive } from './state';
import type { RunStore } from './store';

/** Why the last attempt to run a recipe came to nothing. */
export interface RunFault {
    readonly recipe: string;
    /** undefined: it was refused before it had one. */
    readonly directory: string | undefined;
    /** A few words for the status bar. */
    readonly title: string;
    readonly cause: string;
    /** Where the recipe says what is wrong, from 1. */
    readonly place: Pick<Finding, 'line' | 'column'> | undefined;
}

/** The latest fault, for as long as it is true: until the recipe is edited or run again. A notification could not be taken back then. */
export class RunFaults implements vscode.Disposable {
    private current: RunFault | undefined;
    private readonly changed = new vscode.EventEmitter<void>();
    private readonly disposables: { dispose(): void }[];

    readonly onChange = this.changed.event;

    constructor(store: RunStore) {
        this.disposables = [
            this.changed,
            store.onChange(({ before, after }) => {
                if (after && isActive(after.state)) this.forget(({ recipe }) => recipe === after.recipe);
                else if (!after) this.forget(({ directory }) => directory === before?.directory);
                else if (before && isActive(before.state) && after.state === 'failed') this.set(failed(after));
            }),
            vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
                if (contentChanges.length > 0) this.forget(({ recipe }) => recipe === document.uri.fsPath);
            }),
        ];
    }

    get latest(): RunFault | undefined {
        return this.current;
    }

    refused(recipe: string, cause: string, place: RunFault['place']): void {
        this.set({ recipe, cause, place, directory: undefined, title: vscode.l10n.t('{0} was not run', recipeName(recipe)) });
    }

    dispose(): void {
        for (const item of this.disposables) item.dispose();
    }

    private set(fault: RunFault | undefined): void {
        this.current = fault;
        this.changed.fire();
    }

    private forget(is: (fault: RunFault) => boolean): void {
        if (this.current && is(this.current)) this.set(undefined);
    }
}

function failed({ recipe, directory, name, record }: Run): RunFault {
    const error = record?.error;
    const line = error?.line ?? undefined;
    return {
        recipe, directory, title: vscode.l10n.t('{0} failed', name), cause: [error?.message, record?.advice].filter(Boolean).join(' '),
        place: line === undefined ? undefined : { line, column: error?.column ?? 1 },
    };
}
