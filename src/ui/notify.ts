import * as vscode from 'vscode';
import { errorText } from '../base/log';

type Show = (message: string, ...titles: string[]) => Thenable<string | undefined>;

export interface Action {
    readonly title: string;
    readonly run: () => unknown;
}

/** Messages to the user. Every error says its cause in a sentence and offers the log. Nobody waits for a message to be answered. */
export class Notifier {
    constructor(private readonly log: vscode.LogOutputChannel) {}

    /** At most one action beside the log. */
    error(message: string, action?: Action, showLog: Action = this.showLog()): void {
        this.log.error(message);
        this.offer(vscode.window.showErrorMessage, message, [...(action ? [action] : []), showLog]);
    }

    /**
     * Of a run that came to nothing. VS Code keeps errors that have buttons on the screen until somebody closes them, beyond the next run, and
     * nothing can take them back; warnings go by themselves.
     */
    failure(message: string, ...actions: Action[]): void {
        this.log.error(message);
        this.offer(vscode.window.showWarningMessage, message, actions.length > 0 ? actions : [this.showLog()]);
    }

    /** What the user sees elsewhere. */
    quiet(message: string): void {
        this.log.error(message);
    }

    warn(message: string, ...actions: Action[]): void {
        this.log.warn(message);
        this.offer(vscode.window.showWarningMessage, message, actions);
    }

    info(message: string, ...actions: Action[]): void {
        this.log.info(message);
        this.offer(vscode.window.showInformationMessage, message, actions);
    }

    private showLog(): Action {
        return { title: vscode.l10n.t('Show Log'), run: () => this.log.show(true) };
    }

    private offer(show: Show, message: string, actions: readonly Action[]): void {
        const answered = async (): Promise<void> => {
            const answer = await show(message, ...actions.map(({ title }) => title));
            await actions.find(({ title }) => title === answer)?.run();
        };
        answered().catch((error: unknown) => this.log.error(`“${message}”: ${errorText(error)}`));
    }
}
