import { pathToFileURL } from 'node:url';
import { DiagnosticSeverity, DiagnosticTag, type Diagnostic, type DiagnosticRelatedInformation } from 'vscode-languageserver/node';
import type { Code, Finding, Related } from './finding';
import { rangeOf } from './positions';
import type { Recipe } from './recipe';

const SEVERITIES = { error: DiagnosticSeverity.Error, warning: DiagnosticSeverity.Warning, information: DiagnosticSeverity.Information } as const;

/** What does nothing is faded, what will go away is struck through. */
const TAGS: Readonly<Partial<Record<Code, DiagnosticTag>>> = {
    'duplicate-key': DiagnosticTag.Unnecessary, 'rule-shadowed': DiagnosticTag.Unnecessary, 'layers-repeated': DiagnosticTag.Unnecessary,
    'duplicate-candidate': DiagnosticTag.Unnecessary, 'deprecated-key': DiagnosticTag.Deprecated,
};

/** A finding as the editor shows it; `url` is the page that explains all codes. */
export function diagnostic(recipe: Recipe, uri: string, finding: Finding, url: string): Diagnostic {
    const tag = TAGS[finding.code];
    return {
        range: rangeOf(recipe, finding.span),
        severity: SEVERITIES[finding.severity],
        source: 'quant',
        code: finding.code,
        codeDescription: url ? { href: `${url}#${finding.code}` } : undefined,
        message: finding.message,
        tags: tag && [tag],
        relatedInformation: finding.related?.map((related) => shown(recipe, uri, related)),
    };
}

function shown(recipe: Recipe, uri: string, related: Related): DiagnosticRelatedInformation {
    const location = 'span' in related
        ? { uri, range: rangeOf(recipe, related.span) }
        : { uri: pathToFileURL(related.file).href, range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } } };
    return { location, message: related.message };
}
