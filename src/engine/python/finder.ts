import type { PythonStatus } from './probe';

export type PythonSource = 'setting' | 'development' | 'set-up' | 'workspace' | 'path';

export interface PythonCandidate {
    readonly python: string;
    readonly source: PythonSource;
}

/** One place where an interpreter may be. Offers nothing when it is not there. */
export interface PythonProvider {
    candidates(): Promise<readonly PythonCandidate[]>;
}

export interface Attempt {
    readonly candidate: PythonCandidate;
    readonly status: PythonStatus;
}

export interface Found {
    /** The interpreter to use, or the failure that is worth showing. */
    readonly status: PythonStatus;
    readonly source: PythonSource | undefined;
    readonly attempts: readonly Attempt[];
}

/** Of several failures the one nearest to working is worth showing. */
const NEARNESS: readonly PythonStatus['kind'][] = ['packages-missing', 'broken', 'too-old', 'not-found'];

/** Asks the providers in order and keeps the answer until it is told to forget it. */
export class PythonFinder {
    private inFlight: Promise<Found> | undefined;

    constructor(
        private readonly providers: readonly PythonProvider[],
        private readonly probe: (python: string) => Promise<PythonStatus>,
    ) {}

    /** Concurrent callers share one search. A failure is not kept: the next call looks again. */
    find(): Promise<Found> {
        this.inFlight ??= this.search().then(
            (found) => {
                if (found.status.kind !== 'ready') this.inFlight = undefined;
                return found;
            },
            (error: unknown) => {
                this.inFlight = undefined;
                throw error;
            },
        );
        return this.inFlight;
    }

    forget(): void {
        this.inFlight = undefined;
    }

    private async search(): Promise<Found> {
        const attempts: Attempt[] = [];
        for (const provider of this.providers) {
            for (const candidate of await provider.candidates()) {
                const status = await this.probe(candidate.python);
                attempts.push({ candidate, status });
                // What the user named is used or reported, never replaced behind their back.
                if (status.kind === 'ready' || candidate.source === 'setting') return { status, source: candidate.source, attempts };
            }
        }
        const best = [...attempts].sort((a, b) => NEARNESS.indexOf(a.status.kind) - NEARNESS.indexOf(b.status.kind))[0];
        return { status: best?.status ?? { kind: 'not-found', python: 'python3' }, source: best?.candidate.source, attempts };
    }
}
