import * as vscode from 'vscode';

type Handler = (...args: never[]) => unknown;

/**
 * Commands that need the engine, or a trusted workspace, come as pairs: what they do, and what they say while they cannot. So a command of
 * the palette, a code lens or a key never runs against a part that is not there, and never just fails.
 */
export interface CommandTable<Parts> {
    /** The parts that enabled commands work on; undefined while they are off. */
    readonly parts: () => Parts | undefined;
    readonly always: Readonly<Record<string, Handler>>;
    readonly whenOn: Readonly<Record<string, (parts: Parts) => Handler>>;
    readonly whenOff: () => unknown;
    readonly failed: (command: string, error: unknown) => void;
}

export function registerCommands<Parts>(table: CommandTable<Parts>): vscode.Disposable {
    const guarded = (command: string, handler: (...args: unknown[]) => unknown): vscode.Disposable =>
        vscode.commands.registerCommand(command, async (...args: unknown[]) => {
            try {
                return await handler(...args);
            } catch (error) {
                table.failed(command, error);
                return undefined;
            }
        });
    const always = Object.entries(table.always).map(([command, handler]) => guarded(command, handler as (...args: unknown[]) => unknown));
    const paired = Object.entries(table.whenOn).map(([command, enabled]) =>
        guarded(command, (...args) => {
            const parts = table.parts();
            return parts ? (enabled(parts) as (...args: unknown[]) => unknown)(...args) : table.whenOff();
        }));
    return vscode.Disposable.from(...always, ...paired);
}
