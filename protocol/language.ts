/** What the extension host and the language server tell each other beyond LSP. */

/** `initializationOptions` of the server. */
export interface ServerOptions {
    /** Absolute path of `recipe.schema.json`. */
    readonly schemaPath: string;
    readonly codeLens: boolean;
    /** Whether runs may be started: not where the workspace is not trusted. */
    readonly canRun?: boolean;
    /** Whether the editor has the command `paretoCommand`. */
    readonly choosePoint?: boolean;
    /** Where diagnostics' explanations are, for `codeDescription.href`. */
    readonly diagnosticsUrl: string;
    /** URI of the bundle of texts in the editor's language; absent: they are English. */
    readonly l10nUri?: string;
}

/** Notification, host → server: the newest finished result of each recipe. A full snapshot: it replaces what was known. */
export const resultsNotification = 'quant/results';
export interface ResultsParams {
    /** Recipe URI → absolute path of `result.json`. */
    readonly results: Readonly<Record<string, string>>;
}

/** Notification, host → server: of each recipe the run in progress, or the newest one if it can be resumed. A full snapshot. */
export const runningNotification = 'quant/running';
export interface RunningParams {
    readonly recipes: Readonly<Record<string, {
        readonly run: string;
        /** How a run that can be resumed stands; empty of others, whose progress changes too often for a lens that people want to hit. */
        readonly label: string;
        /**
         * What can be done: nothing yet (its process has not said a word, and may refuse the recipe), cancel it, nothing (it was asked to cancel), stop
         * it at once (it was, and takes long), or go on with it.
         */
        readonly stage: 'starting' | 'running' | 'cancelling' | 'stoppable' | 'resumable';
        /** Absolute path of the checkpoint that it writes. */
        readonly output: string | undefined;
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
    sensitivity: 'quant.measureSensitivity',
    estimate: 'quant.estimate',
    cancel: 'quant.cancelRun',
    stop: 'quant.stopRun',
    resume: 'quant.resumeRun',
    results: 'quant.openResults',
} as const;

/** Command of a code action: lets a person choose a point of the last run's front for the recipe with this URI. */
export const paretoCommand = 'quant.replaceRules';

export interface RecipeParams {
    readonly uri: string;
}

/** Request, host → server: the points that a recipe could become. */
export const paretoPointsRequest = 'quant/paretoPoints';
export interface ParetoPointChoice {
    readonly number: number;
    readonly label: string;
    readonly detail: string;
}

/** Request, host → server: the text edits (`TextEdit[]`) that make a recipe one of those points; null when it no longer can. */
export const paretoEditsRequest = 'quant/paretoEdits';
export interface ParetoEditsParams extends RecipeParams {
    readonly point: number;
}
