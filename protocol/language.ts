/** What the extension host and the language server tell each other beyond LSP. */

/** `initializationOptions` of the server. */
export interface ServerOptions {
    /** Absolute path of `recipe.schema.json`. */
    readonly schemaPath: string;
    readonly codeLens: boolean;
    /** Where diagnostics' explanations are, for `codeDescription.href`. */
    readonly diagnosticsUrl: string;
}

/** Notification, host → server: the newest finished result of each recipe. A full snapshot: it replaces what was known. */
export const resultsNotification = 'quant/results';
export interface ResultsParams {
    /** Recipe URI → absolute path of `result.json`. */
    readonly results: Readonly<Record<string, string>>;
}

/** Notification, host → server: runs in progress, for the code lens. A full snapshot. */
export const runningNotification = 'quant/running';
export interface RunningParams {
    readonly recipes: Readonly<Record<string, {
        readonly run: string;
        readonly label: string;
        /** What can be done: cancel it, nothing (it was asked to cancel), or stop it at once (it was, and takes long). */
        readonly stage: 'running' | 'cancelling' | 'stoppable';
    }>>;
}

/** Notification, host → server: something on disk changed (a checkpoint, a data file): read headers again. */
export const filesChangedNotification = 'quant/filesChanged';
export interface FilesChangedParams {
    readonly uris: readonly string[];
}

/** Commands that the server's code lenses name; the host implements them. Each takes the recipe's URI as a string. */
export const lensCommands = {
    run: 'quant.runRecipe',
    cancel: 'quant.cancelRun',
    stop: 'quant.stopRun',
    results: 'quant.openResults',
} as const;
