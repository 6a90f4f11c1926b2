import * as l10n from '@vscode/l10n';
import type { DoctorCheck, DoctorReport } from '../../protocol/generated/protocol';
import type { RunCommand } from './command';
import { pythonAdvice, pythonProblem } from './python/explain';
import type { Found } from './python/finder';

export interface Environment {
    readonly found: Found;
    /** Runs the engine with some arguments. */
    readonly engine: (...args: string[]) => Promise<{ file: string; args: string[]; env: Readonly<Record<string, string | undefined>> }>;
    readonly run: RunCommand;
}

/** Everything that is known about this machine's fitness, all at once: the interpreters that were tried, then the engine's own checks. */
export async function examine({ found, engine, run }: Environment): Promise<DoctorCheck[]> {
    const interpreters = found.attempts.map(({ candidate, status }): DoctorCheck => {
        const used = status === found.status && status.kind === 'ready';
        return {
            name: l10n.t('Python ({0})', sourceName(candidate.source)), status: used ? 'fulfilled' : found.status.kind === 'ready' ? 'warning' : 'fatal',
            found: status.kind === 'ready' ? l10n.t('{0}, Python {1}, engine {2}', status.python, status.version, status.engine) : pythonProblem(status),
            advice: used ? '' : pythonAdvice(status),
        };
    });
    if (found.status.kind !== 'ready') return interpreters;
    const { file, args, env } = await engine('doctor', '--json');
    const result = await run(file, args, { env, timeout: 60_000 });
    return [...interpreters, ...parseReport(result.stdout, result.stderr)];
}

function parseReport(stdout: string, stderr: string): DoctorCheck[] {
    try {
        return [...(JSON.parse(stdout) as DoctorReport).checks];
    } catch {
        return [{ name: l10n.t('Engine'), status: 'fatal', found: stderr.trim().split('\n').at(-1) ?? '', advice: l10n.t('Run “Quant: Set Up Engine” again.') }];
    }
}

export function sourceName(source: Found['attempts'][number]['candidate']['source']): string {
    switch (source) {
        case 'setting': return l10n.t('setting quant.pythonPath');
        case 'development': return l10n.t('the extension’s own folder');
        case 'set-up': return l10n.t('made by “Set Up Engine”');
        case 'workspace': return l10n.t('the workspace');
        case 'path': return l10n.t('on PATH');
    }
}

const MARKS: Readonly<Record<DoctorCheck['status'], string>> = { fulfilled: '✅', warning: '⚠️', fatal: '❌' };

/** The report as Markdown, to read and to paste into a bug report. */
export function doctorMarkdown(checks: readonly DoctorCheck[], about: string): string {
    const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');
    const status: Readonly<Record<DoctorCheck['status'], string>> = {
        fulfilled: l10n.t('fulfilled'), warning: l10n.t('warning'), fatal: l10n.t('fatal'),
    };
    const rows = checks.map((check) => `| ${MARKS[check.status]} ${status[check.status]} | ${cell(check.name)} | ${cell(check.found)} | ${cell(check.advice)} |`);
    return [
        `# Quant Workbench: ${l10n.t('Doctor')}`, '', about, '',
        `| ${l10n.t('Status')} | ${l10n.t('Check')} | ${l10n.t('Found')} | ${l10n.t('What to do')} |`, '|---|---|---|---|', ...rows, '',
    ].join('\n');
}
