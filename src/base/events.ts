/** What releases something. `vscode.Disposable` has this shape, so modules that need no editor can hand theirs to one that does. */
export interface Disposable {
    dispose(): void;
}

/** A typed event source for modules that must not import the editor. A listener that throws does not silence the others. */
export class Emitter<T> implements Disposable {
    private readonly listeners = new Set<(value: T) => void>();

    constructor(private readonly onListenerError: (error: unknown) => void = () => undefined) {}

    readonly event = (listener: (value: T) => void): Disposable => {
        this.listeners.add(listener);
        return { dispose: () => this.listeners.delete(listener) };
    };

    fire(value: T): void {
        for (const listener of [...this.listeners]) {
            try {
                listener(value);
            } catch (error) {
                this.onListenerError(error);
            }
        }
    }

    dispose(): void {
        this.listeners.clear();
    }
}

/** Things released together, newest first. */
export class DisposableList implements Disposable {
    private items: Disposable[] = [];

    add<T extends Disposable>(item: T): T {
        this.items.push(item);
        return item;
    }

    dispose(): void {
        for (const item of this.items.splice(0).reverse()) item.dispose();
    }
}
