import * as l10n from '@vscode/l10n';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Log } from '../base/log';
import type { CommandResult, RunCommand } from './command';
import { SET_UP_STAMP, venvPython } from './python/providers';

export interface SetUpOptions {
    /** Interpreter that the environment is made from. */
    readonly basePython: string;
    /** Folder of the environment; replaced when it is there. */
    readonly folder: string;
    readonly constraints: string;
    readonly run: RunCommand;
    readonly log: Log;
    readonly signal: AbortSignal;
    readonly report: (message: string) => void;
}

export type SetUpOutcome = { readonly kind: 'done'; readonly python: string } | { readonly kind: 'cancelled' } | { readonly kind: 'failed'; readonly cause: string };

/** Makes the engine's environment. Whatever goes wrong, nothing half-made is left that could be taken for it. */
export async function setUpEnvironment(options: SetUpOptions): Promise<SetUpOutcome> {
    const { folder, log } = options;
    await rm(folder, { recursive: true, force: true });
    await mkdir(path.dirname(folder), { recursive: true });
    const outcome = await install(options);
    if (outcome.kind !== 'done') {
        await rm(folder, { recursive: true, force: true });
        log.warn(`set-up: ${outcome.kind}`);
    }
    return outcome;
}

async function install({ basePython, folder, constraints, run, log, signal, report }: SetUpOptions): Promise<SetUpOutcome> {
    const onLine = (line: string): void => {
        log.info(`[set-up] ${line}`);
        const what = /^(Collecting|Downloading|Installing collected packages|Building wheel for)\b:?\s*(\S+)?/.exec(line.trim());
        if (what) report(what[1] === 'Installing collected packages' ? l10n.t('installing the packages') : `${what[1] ?? ''} ${what[2] ?? ''}`);
    };
    report(l10n.t('making the environment'));
    const python = venvPython(folder);
    const steps: [string, string[]][] = [
        [basePython, ['-m', 'venv', folder]],
        [python, ['-m', 'pip', 'install', '--progress-bar', 'off', '--no-input', '--disable-pip-version-check', '-r', constraints]],
    ];
    for (const [file, args] of steps) {
        log.info(`set-up: ${file} ${args.join(' ')}`);
        const result = await run(file, args, { signal, onLine });
        if (signal.aborted) return { kind: 'cancelled' };
        if (result.exitCode !== 0) return { kind: 'failed', cause: causeOf(file, result) };
    }
    await writeFile(path.join(folder, SET_UP_STAMP), '');
    return { kind: 'done', python };
}

function causeOf(file: string, result: CommandResult): string {
    if (result.notFound) return l10n.t('No Python at “{0}”.', file);
    const lines = `${result.stdout}\n${result.stderr}`.trim().split('\n').map((line) => line.trim());
    return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? l10n.t('exit code {0}', String(result.exitCode));
}

/** The same by hand, to copy: what the set-up would run with this interpreter. */
export function pipCommand(python: string, constraints: string): string {
    const quote = (text: string): string => (/[^\w./:\\-]/.test(text) ? `"${text}"` : text);
    return `${quote(python)} -m pip install -r ${quote(constraints)}`;
}
