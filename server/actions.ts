import { CodeActionKind, type CodeAction, type Diagnostic, type TextEdit } from 'vscode-languageserver/node';
import { Snippet } from './complete';
import type { Finding } from './finding';
import { rangeOf } from './positions';
import type { Place, Recipe, Span } from './recipe';

/** Quick fixes for the findings that touch a span. `diagnosticOf` is what the editor was shown for a finding. */
export function codeActions(
    recipe: Recipe,
    uri: string,
    findings: readonly Finding[],
    span: Span,
    diagnosticOf: (finding: Finding) => Diagnostic,
): CodeAction[] {
    const touched = findings.filter((finding) => finding.span.start <= span.end && span.start <= finding.span.end);
    return touched.flatMap((finding) => {
        const fixes = fixesFor(recipe, finding);
        return fixes.map(({ title, edit }, index) => ({
            title,
            kind: CodeActionKind.QuickFix,
            diagnostics: [diagnosticOf(finding)],
            isPreferred: index === 0 && (isSure(finding) || isBareAlias(recipe, finding)) ? true : undefined,
            edit: { changes: { [uri]: [edit] } },
        }));
    });
}

interface Fix {
    readonly title: string;
    readonly edit: TextEdit;
}

/** One suggestion is what was meant; the first of several is only the first. */
function isSure(finding: Finding): boolean {
    const { code, missing, replacements = [], removable } = finding;
    if (missing) return missing.keys.length === 1;
    return finding.unquoted !== undefined || code === 'group-size' || code === 'duplicate-key' || code === 'duplicate-candidate' || replacements.length === 1 || (code === 'unknown-value' && removable !== undefined);
}

function fixesFor(recipe: Recipe, finding: Finding): Fix[] {
    const fixes = (finding.replacements ?? []).map((text) => replacement(recipe, finding, text));
    const { missing, unquoted } = finding;
    if (unquoted !== undefined) fixes.push({ title: `Change to ${unquoted}`, edit: { range: rangeOf(recipe, finding.span), newText: unquoted } });
    if (missing) fixes.push(...missing.keys.flatMap((key) => addKey(recipe, missing.owner, key)));
    if (finding.removable) fixes.push(removal(recipe, finding.removable));
    if (isBareAlias(recipe, finding)) fixes.push(quoted(recipe, finding));
    return fixes;
}

/** A pattern that YAML takes for an alias. */
function isBareAlias(recipe: Recipe, { code, span }: Finding): boolean {
    return code === 'yaml-syntax' && recipe.text[span.start] === '*';
}

function quoted(recipe: Recipe, { span }: Finding): Fix {
    const text = `"${recipe.text.slice(span.start, span.end)}"`;
    return { title: `Change to ${text}`, edit: { range: rangeOf(recipe, span), newText: text } };
}

function replacement(recipe: Recipe, finding: Finding, text: string): Fix {
    const written = recipe.text.slice(finding.span.start, finding.span.end);
    const quote = /^["']/.exec(written)?.[0] ?? (/^[*&!|>%@`]/.test(text) ? '"' : '');
    return { title: `Change to ${quote ? `"${text}"` : text}`, edit: { range: rangeOf(recipe, finding.span), newText: quote + text + quote } };
}

/** Removes an entry with its line, or with the comma that separates it. */
function removal(recipe: Recipe, place: Place): Fix {
    const { text } = recipe;
    let start = place.key?.start ?? place.dash?.start ?? place.span.start;
    let end = Math.max(place.span.end, place.key?.end ?? 0);
    if (place.parent?.flow) {
        const following = /^\s*,\s*/.exec(text.slice(end))?.[0];
        if (following !== undefined) end += following.length;
        else start -= /,?\s*$/.exec(text.slice(0, start))![0].length;
    } else {
        const indent = /(^|\n)([ \t]*)$/.exec(text.slice(0, start))?.[2];
        if (indent !== undefined) {
            start -= indent.length;
            end += /^[^\n]*(\n|$)/.exec(text.slice(end))![0].length;
        }
    }
    const name = place.key?.name ?? clipped(text.slice(place.span.start, place.span.end));
    return { title: `Remove "${name}"`, edit: { range: rangeOf(recipe, { start, end }), newText: '' } };
}

/** One line that fits into a menu. */
function clipped(text: string): string {
    const line = text.replace(/\s+/g, ' ');
    return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}

function addKey(recipe: Recipe, owner: Place, key: string): Fix[] {
    const shapes = owner.shape ? [owner.shape] : (owner.slot?.alternatives ?? []).map(({ schema }) => schema);
    const property = shapes.find((shape) => shape.properties?.[key] !== undefined)?.properties?.[key];
    if (!property) return [];
    const value = new Snippet(recipe, owner.flow).value(recipe.schema.slot(property), 1).replace(/\$\{\d+:([^}]*)\}|\$\d+/g, '$1');
    const { at, newText } = placed(recipe.text, owner, `${key}:${value.trimEnd()}`);
    return [{ title: `Add "${key}"`, edit: { range: rangeOf(recipe, { start: at, end: at }), newText } }];
}

/** Where a new entry goes, and what separates it from what is there. */
function placed(text: string, owner: Place, entry: string): { at: number; newText: string } {
    if (owner.flow) {
        const at = text.slice(0, owner.span.end - 1).trimEnd().length;
        const needsComma = owner.children.length > 0 && text[at - 1] !== ',';
        return { at, newText: `${needsComma ? ',' : ''} ${entry}${text[at] === '}' ? ' ' : ''}` };
    }
    const eol = text.includes('\r\n') ? '\r\n' : '\n';
    const first = owner.children[0]?.key;
    if (!first) return { at: text.length, newText: `${text === '' || text.endsWith('\n') ? '' : eol}${entry}${eol}` };
    const margin = ' '.repeat(first.start - (text.lastIndexOf('\n', first.start - 1) + 1));
    const at = owner.span.end + /^[^\r\n]*/.exec(text.slice(owner.span.end))![0].length;
    return { at, newText: [''].concat(entry.split('\n')).join(eol + margin) };
}
