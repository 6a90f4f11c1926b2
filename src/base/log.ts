/** The part of `vscode.LogOutputChannel` that modules without the editor use. */
export interface Log {
    debug(message: string): void;
    info(message: string): void;
    warn(message: string): void;
    error(message: string): void;
}

export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function errorText(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}
