import type { CommandOptions, RunCommand } from '../command';
import { missingRequirements, type Requirement } from './requirements';

export const OLDEST_PYTHON = [3, 10] as const;

/** What became of one interpreter. */
export type PythonStatus =
    | { readonly kind: 'ready'; readonly python: string; readonly version: string; readonly engine: string }
    | { readonly kind: 'too-old'; readonly python: string; readonly version: string }
    | { readonly kind: 'packages-missing'; readonly python: string; readonly version: string; readonly missing: readonly string[] }
    | { readonly kind: 'not-found'; readonly python: string }
    | { readonly kind: 'broken'; readonly python: string; readonly detail: string };

/** Runs on any Python from 2.7 on, so that an old one is recognised instead of failing; imports no package. */
const SCRIPT = `
import json, sys
out = {"version": list(sys.version_info[:3]), "found": {}, "engine": None}
if sys.version_info[:2] >= (${OLDEST_PYTHON.join(', ')}):
    from importlib import metadata
    for name in sys.argv[1:]:
        try:
            out["found"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out["found"][name] = None
    import quant_engine
    out["engine"] = quant_engine.__version__
print("\\n" + json.dumps(out))
`;

interface Answer {
    readonly version: readonly number[];
    readonly found: Readonly<Record<string, string | null>>;
    readonly engine: string;
}

export interface ProbeOptions {
    readonly requirements: readonly Requirement[];
    /** Environment in which the engine's own package is found. */
    readonly env: CommandOptions['env'];
    readonly run: RunCommand;
    readonly timeout?: number;
}

/** Asks an interpreter what it is and what it has. Takes well under a second; torch is not imported. */
export async function probePython(python: string, { requirements, env, run, timeout = 20_000 }: ProbeOptions): Promise<PythonStatus> {
    const result = await run(python, ['-c', SCRIPT, ...requirements.map(({ name }) => name)], { env, timeout });
    if (result.notFound) return { kind: 'not-found', python };
    const answer = result.exitCode === 0 ? parseAnswer(result.stdout) : undefined;
    if (!answer) return { kind: 'broken', python, detail: lastLine(result.stderr) || lastLine(result.stdout) || `exit code ${String(result.exitCode)}` };
    const version = answer.version.join('.');
    const [major = 0, minor = 0] = answer.version;
    if (major < OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor < OLDEST_PYTHON[1])) return { kind: 'too-old', python, version };
    const missing = missingRequirements(requirements, answer.found);
    if (missing.length > 0) return { kind: 'packages-missing', python, version, missing };
    return { kind: 'ready', python, version, engine: answer.engine };
}

function parseAnswer(stdout: string): Answer | undefined {
    try {
        return JSON.parse(lastLine(stdout)) as Answer;
    } catch {
        // A start-up file that prints is tolerated (only the last line counts); anything else is a broken interpreter.
        return undefined;
    }
}

function lastLine(text: string): string {
    return text.trim().split('\n').at(-1)?.trim() ?? '';
}
