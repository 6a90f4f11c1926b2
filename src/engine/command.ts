import { execa } from 'execa';

export interface CommandResult {
    /** undefined when the command could not be started or a signal ended it. */
    readonly exitCode: number | undefined;
    readonly stdout: string;
    readonly stderr: string;
    /** The executable does not exist or may not be executed. */
    readonly notFound: boolean;
    /** Ended early because of the abort signal. */
    readonly cancelled: boolean;
}

export interface CommandOptions {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly timeout?: number;
    readonly signal?: AbortSignal;
    /** Called with each line of stdout and stderr as it arrives. */
    readonly onLine?: (line: string) => void;
}

/** Runs a short-lived command to its end. Never throws because of the command's failure. */
export type RunCommand = (file: string, args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;

export const runCommand: RunCommand = async (file, args, options = {}) => {
    const child = execa(file, args, {
        cwd: options.cwd, env: options.env, timeout: options.timeout, reject: false, stdin: 'ignore', windowsHide: true, all: true,
        detached: process.platform !== 'win32', forceKillAfterDelay: 800,
    });
    // pip starts children of its own: the signal goes to the whole group.
    const abort = (): void => {
        if (!signalGroup(child.pid, 'SIGTERM')) child.kill();
    };
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    const watching = options.onLine ? followLines(child.iterable({ from: 'all' }), options.onLine) : undefined;
    try {
        const result = await child;
        await watching;
        return {
            exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr,
            notFound: result.code === 'ENOENT' || result.code === 'EACCES', cancelled: options.signal?.aborted ?? false,
        };
    } finally {
        options.signal?.removeEventListener('abort', abort);
    }
};

/** Sends a signal to a process and everything it started; false when there is nothing left to signal. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): boolean {
    if (pid === undefined) return false;
    try {
        process.kill(process.platform === 'win32' ? pid : -pid, signal);
        return true;
    } catch {
        return false;
    }
}

async function followLines(lines: AsyncIterable<unknown>, onLine: (line: string) => void): Promise<void> {
    for await (const line of lines) onLine(String(line));
}

/** Calls back for each complete line, and for what follows the last one when the stream ends. */
export function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
        const lines = (rest + text).split(/\r\n|[\r\n]/);
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
    });
    stream.on('end', () => {
        if (rest) onLine(rest);
    });
}
