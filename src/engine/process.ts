import { execa } from 'execa';
import type { Readable, Writable } from 'node:stream';
import { settledWithin, type Clock } from '../base/clock';
import type { Log } from '../base/log';
import { readLines, signalGroup } from './command';

export interface LaunchSpec {
    readonly file: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
}

export interface Exit {
    readonly exitCode: number | undefined;
    readonly signal: string | undefined;
    /** The executable does not exist: starting it again cannot help. */
    readonly notFound: boolean;
}

/** A child in a process group of its own, with pipes; transport only, it knows nothing of what is said over them. */
export interface EngineProcess {
    readonly pid: number | undefined;
    readonly stdin: Writable;
    readonly stdout: Readable;
    readonly exited: Promise<Exit>;
    /** The last lines that the child wrote to stderr. */
    lastWords(): string;
    signal(signal: NodeJS.Signals): void;
}

const KEPT_LINES = 20;

export function spawnEngine(spec: LaunchSpec, log: Log): EngineProcess {
    const child = execa(spec.file, spec.args, {
        env: spec.env, cwd: spec.cwd, reject: false, buffer: false, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', windowsHide: true,
        detached: process.platform !== 'win32',
    });
    const words: string[] = [];
    readLines(child.stderr, (line) => {
        log.info(`[engine] ${line}`);
        words.push(line);
        if (words.length > KEPT_LINES) words.shift();
    });
    // A write to a child that has just died must not end the extension host.
    child.stdin.on('error', (error) => log.debug(`engine stdin: ${error.message}`));
    const exited = child.then(({ exitCode, signal, code }) => ({ exitCode, signal, notFound: code === 'ENOENT' || code === 'EACCES' }));
    return {
        pid: child.pid, stdin: child.stdin, stdout: child.stdout, exited,
        lastWords: () => words.join('\n'),
        signal: (signal) => void (signalGroup(child.pid, signal) || child.kill(signal)),
    };
}

/** How long each step of the stop ladder may take, in milliseconds; together under three seconds. */
export const STOP_LADDER = { shutdown: 800, input: 500, terminate: 700, kill: 500 } as const;

/** Ends a process: asks it, ends its input, then TERM and KILL to its whole group. */
export async function stopProcess(process: EngineProcess, askToShutDown: () => void, clock: Clock): Promise<void> {
    const gone = (milliseconds: number): Promise<boolean> => settledWithin(clock, process.exited, milliseconds);
    askToShutDown();
    if (await gone(STOP_LADDER.shutdown)) return killRest(process);
    process.stdin.end();
    if (await gone(STOP_LADDER.input)) return killRest(process);
    process.signal('SIGTERM');
    if (await gone(STOP_LADDER.terminate)) return killRest(process);
    process.signal('SIGKILL');
    await gone(STOP_LADDER.kill);
}

/** The leader is gone; what it started may not be. */
function killRest(process: EngineProcess): void {
    signalGroup(process.pid, 'SIGKILL');
}
