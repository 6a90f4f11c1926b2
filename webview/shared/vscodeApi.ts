/** What VS Code offers to a webview's script, once for each page. */
export interface VsCodeApi<Message, State> {
    postMessage(message: Message): void;
    getState(): State | undefined;
    setState(state: State): void;
}

declare function acquireVsCodeApi(): VsCodeApi<unknown, unknown>;

/** The page's connection to its host. May be called once only, as VS Code demands. */
export function connect<Message, State>(): VsCodeApi<Message, State> {
    return acquireVsCodeApi() as VsCodeApi<Message, State>;
}

/** Tells one load of the page from the next, so that the host never answers a page that is gone. */
export function loadId(): string {
    return crypto.randomUUID();
}
