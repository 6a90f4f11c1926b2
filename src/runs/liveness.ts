import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import type { RunRecord } from '../../protocol/generated/run';

const execute = promisify(execFile);
/** The kernel counts from its boot, whose own time it rounds: two readings of one start may differ by this much. */
const TOLERANCE_SECONDS = 3;

/** Whether a run's process still exists; undefined when it runs on another machine. */
export type Liveness = (record: Pick<RunRecord, 'host' | 'pid' | 'pid_started'>) => Promise<boolean | undefined>;

export const processAlive: Liveness = async ({ host, pid, pid_started }) => {
    if (host !== hostname()) return undefined;
    if (pid <= 0 || !exists(pid)) return false;
    const started = await processStart(pid);
    // Without a start time the pid alone has to do: a wrong “running” is corrected by the engine's own record, a wrong “interrupted” is not.
    if (started === 'unknown') return true;
    return started !== 'gone' && Math.abs(started - pid_started) <= TOLERANCE_SECONDS;
};

function exists(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
}

/** When a process started, in seconds since the epoch. */
async function processStart(pid: number): Promise<number | 'gone' | 'unknown'> {
    if (process.platform === 'linux') return linuxStart(pid);
    if (process.platform === 'win32') return 'unknown';
    try {
        const { stdout } = await execute('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C' } });
        const time = Date.parse(stdout.trim());
        return Number.isNaN(time) ? 'unknown' : time / 1000;
    } catch {
        return 'gone';
    }
}

/** USER_HZ is 100 on every Linux that VS Code supports. */
const TICKS_PER_SECOND = 100;

async function linuxStart(pid: number): Promise<number | 'gone' | 'unknown'> {
    try {
        const [status, system] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/stat', 'utf8')]);
        // The command's name, in parentheses, may itself contain spaces and parentheses.
        const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
        if (fields[0] === 'Z') return 'gone';
        const boot = /^btime (\d+)$/m.exec(system)?.[1];
        return boot === undefined ? 'unknown' : Number(boot) + Number(fields[19]) / TICKS_PER_SECOND;
    } catch {
        return 'gone';
    }
}
