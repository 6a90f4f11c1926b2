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
            isPreferred: index === 0 && isSure(finding) ? true : undefined,
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
    return finding.missing !== undefined || finding.code === 'group-size' || finding.replacements?.length === 1 || finding.code === 'duplicate-key';
}

function fixesFor(recipe: Recipe, finding: Finding): Fix[] {
    const fixes = (finding.replacements ?? []).map((text) => replacement(recipe, finding, text));
    if (finding.missing) fixes.push(...addKey(recipe, finding.missing.owner, finding.missing.key));
    if (finding.removable) fixes.push(removal(recipe, finding.removable));
    return fixes;
}

function replacement(recipe: Recipe, finding: Finding, text: string): Fix {
    const written = recipe.text.slice(finding.span.start, finding.span.end);
    const quote = /^["']/.exec(written)?.[0] ?? (/^[*&!|>%@`]/.test(text) ? '"' : '');
    return { title: `Change to ${quote ? `"${text}"` : text}`, edit: { range: rangeOf(recipe, finding.span), newText: quote + text + quote } };
}

/** Removes an entry with its line, or with the comma that separates it. */
function removal(recipe: Recipe, place: Place): Fix {
    const { text } = recipe;
    let start = place.key?.start ?? place.span.start;
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
    return { title: `Remove "${place.key?.name ?? place.text}"`, edit: { range: rangeOf(recipe, { start, end }), newText: '' } };
}

function addKey(recipe: Recipe, owner: Place, key: string): Fix[] {
    const shapes = owner.shape ? [owner.shape] : (owner.slot?.alternatives ?? []).map(({ schema }) => schema);
    const property = shapes.find((shape) => shape.properties?.[key] !== undefined)?.properties?.[key];
    if (!property) return [];
    const depth = owner.children[0]?.key ? column(recipe.text, owner.children[0].key.start) : 0;
    const value = new Snippet(recipe, owner.flow).value(recipe.schema.slot(property), 1).replace(/\$\{\d+:([^}]*)\}|\$\d+/g, '$1');
    const entry = `${key}:${value.trimEnd()}`.replace(/\n/g, `\n${' '.repeat(depth)}`);
    const last = owner.children.at(-1) ?? undefined;
    if (owner.flow) {
        const end = owner.span.end - 1;
        const before = recipe.text.slice(0, end).trimEnd().length;
        return [fix(before, before === end ? end : end, `${last && !recipe.text.slice(0, before).endsWith(',') ? ', ' : ' '}${entry} `)];
    }
    if (!last) return owner.parent === undefined ? [fix(recipe.text.length, recipe.text.length, `${recipe.text === '' || recipe.text.endsWith('\n') ? '' : '\n'}${entry}\n`)] : [];
    const end = owner.span.end + /^[^\n]*/.exec(recipe.text.slice(owner.span.end))![0].replace(/\r$/, '').length;
    return [fix(end, end, `\n${' '.repeat(depth)}${entry}`)];

    function fix(start: number, end: number, newText: string): Fix {
        return { title: `Add "${key}"`, edit: { range: rangeOf(recipe, { start, end }), newText } };
    }
}

function column(text: string, offset: number): number {
    return offset - (text.lastIndexOf('\n', offset - 1) + 1);
}
