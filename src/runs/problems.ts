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

/** `path:line:column: severity: message [code]`, as the command line prints findings; what to do about it stands below, indented. */
const FINDING = /^(.+?):(\d+):(\d+): (error|warning|information|hint): (.*) \[([a-z-]+)\]$/;
const ADVICE = /^ {4}(\S.*)$/;
/** An error that is not about a line of the recipe; its advice stands below, not indented. */
const FAILURE = /^quant-engine: (.*) \[[a-z-]+\]$/;

export interface Finding {
    readonly path: string;
    /** Both count from 1. */
    readonly line: number;
    readonly column: number;
    readonly severity: RecipeProblem['severity'] | 'hint';
    readonly code: string;
    readonly message: string;
    /** What to do. The command line says the same advice once; a later finding with the same code means it too. */
    readonly advice: string | undefined;
}

export function parseFindings(output: string): Finding[] {
    const findings: Finding[] = [];
    const advices = new Map<string, string>();
    const lines = output.split(/\r?\n/);
    lines.forEach((text, index) => {
        const [, path, line, column, severity, message, code] = FINDING.exec(text.trim()) ?? [];
        if (path === undefined || code === undefined) return;
        const advice = ADVICE.exec(lines[index + 1] ?? '')?.[1] ?? advices.get(code);
        if (advice !== undefined) advices.set(code, advice);
        findings.push({ path, line: Number(line), column: Number(column), severity: severity as Finding['severity'], code, message: message ?? '', advice });
    });
    return findings;
}

/** What the output of a run that never started says about its recipe, for the editor. */
export function findingProblems(findings: readonly Finding[]): RecipeProblem[] {
    return findings.map(({ line, column, severity, code, message, advice }) => ({
        severity: severity === 'hint' ? 'information' : severity, code, message: [message, advice].filter(Boolean).join('\n'),
        start: { line: line - 1, character: column - 1 }, end: undefined,
    }));
}

/** The finding that kept a run from starting. */
export function stillbornFinding(output: string): Finding | undefined {
    return parseFindings(output).find(({ severity }) => severity === 'error');
}

/** The sentences worth showing from the output of a run that never started: its first error and what to do, else its last words. */
export function stillbornCause(output: string): string {
    const finding = stillbornFinding(output);
    if (finding) return l10n.t('line {0}: {1}', finding.line, sentences(finding.message, finding.advice));
    const lines = output.trim().split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    const failed = lines.findIndex((line) => FAILURE.test(line));
    if (failed >= 0) return sentences(FAILURE.exec(lines[failed] ?? '')?.[1] ?? '', lines[failed + 1]);
    return lines.find((line) => /^error\b/i.test(line))?.replace(/^error:?\s*/i, '') ?? lines.at(-1) ?? l10n.t('it wrote no message');
}

/** A message and what to do about it. */
export function sentences(message: string, advice: string | undefined): string {
    if (!advice) return message;
    return `${/[.!?]$/.test(message) ? message : `${message}.`} ${advice}`;
}
