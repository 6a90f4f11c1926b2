import * as l10n from '@vscode/l10n';
import type { Problem, Result } from '../../protocol/generated/result';
import type { RunRecord } from '../../protocol/generated/run';

/** A finding in a recipe; positions count from 0, columns in UTF-16 code units. */
export interface RecipeProblem {
    readonly severity: Problem['severity'];
    readonly code: string;
    readonly message: string;
    readonly start: { readonly line: number; readonly character: number };
    /** undefined: to the end of the line. */
    readonly end: { readonly line: number; readonly character: number } | undefined;
}

/** What a finished run has to say about its recipe: why it failed, where it did something else than asked. */
export function recipeProblems(record: RunRecord, result: Result | undefined): RecipeProblem[] {
    const problems = [...(record.error ? [record.error] : []), ...(result?.problems ?? [])];
    return problems.map((problem) => ({
        severity: problem.severity, code: problem.code,
        message: [problem.layer === null ? problem.message : l10n.t('{0}: {1}', problem.layer, problem.message), problem === record.error ? record.advice : null]
            .filter(Boolean).join('\n'),
        start: { line: Math.max(0, (problem.line ?? 1) - 1), character: Math.max(0, (problem.column ?? 1) - 1) },
        end: problem.line === null || problem.end_line === null || problem.end_column === null
            ? undefined
            : { line: problem.end_line - 1, character: problem.end_column - 1 },
    }));
}

/** `path:line:column: severity: message [code]`, as the command line prints findings. */
const FINDING = /^(.+?):(\d+):(\d+): (error|warning|information|hint): (.*) \[([a-z-]+)\]$/;

export interface Finding {
    readonly path: string;
    readonly line: number;
    readonly message: string;
    readonly severity: string;
}

export function parseFindings(output: string): Finding[] {
    return output.split(/\r?\n/).flatMap((text) => {
        const match = FINDING.exec(text.trim());
        return match ? [{ path: match[1] ?? '', line: Number(match[2]), severity: match[4] ?? '', message: match[5] ?? '' }] : [];
    });
}

/** The sentence worth showing from the output of a run that never started: its first error, else its last words. */
export function stillbornCause(output: string): string {
    const finding = parseFindings(output).find(({ severity }) => severity === 'error');
    if (finding) return l10n.t('line {0}: {1}', finding.line, finding.message);
    const lines = output.trim().split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    return lines.find((line) => /^error\b/i.test(line))?.replace(/^error:?\s*/i, '') ?? lines.at(-1) ?? l10n.t('it wrote no message');
}
