import { DiagnosticSeverity, DiagnosticTag, type Diagnostic } from 'vscode-languageserver/node';
import type { Finding } from './finding';
import { rangeOf } from './positions';
import type { Recipe } from './recipe';

const SEVERITIES = { error: DiagnosticSeverity.Error, warning: DiagnosticSeverity.Warning, information: DiagnosticSeverity.Information } as const;

/** What does nothing is faded. */
const UNNECESSARY: ReadonlySet<string> = new Set(['duplicate-key', 'rule-shadowed', 'duplicate-candidate']);

/** A finding as the editor shows it; `url` is the page that explains all codes. */
export function diagnostic(recipe: Recipe, uri: string, finding: Finding, url: string): Diagnostic {
    const { related } = finding;
    return {
        range: rangeOf(recipe, finding.span),
        severity: SEVERITIES[finding.severity],
        source: 'quant',
        code: finding.code,
        codeDescription: url ? { href: `${url}#${finding.code}` } : undefined,
        message: finding.message,
        tags: UNNECESSARY.has(finding.code) ? [DiagnosticTag.Unnecessary] : undefined,
        relatedInformation: related && [{ location: { uri, range: rangeOf(recipe, related.span) }, message: related.message }],
    };
}
