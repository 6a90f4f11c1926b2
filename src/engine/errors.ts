/** Why there is no engine to talk to. `final`: trying the same again cannot help. */
export type EngineErrorKind = 'python' | 'not-found' | 'protocol' | 'no-hello' | 'crashed' | 'stopped';

const FINAL: ReadonlySet<EngineErrorKind> = new Set(['python', 'not-found', 'protocol']);

export class EngineError extends Error {
    constructor(
        readonly kind: EngineErrorKind,
        message: string,
    ) {
        super(message);
        this.name = 'EngineError';
    }

    get final(): boolean {
        return FINAL.has(this.kind);
    }
}
