import * as l10n from '@vscode/l10n';
import { modelHeader, type Facts } from './facts';
import type { Finding } from './finding';
import { matchingLayers } from './layers';
import type { Recipe } from './recipe';
import type { Change } from './refactor';

/** For a pattern that matches no layer and is near to none: what it matches as the end of names, without the marks of a regular expression, or in the last block. */
export function patternFixes(recipe: Recipe, finding: Finding, facts: Facts): Change[] {
    const header = modelHeader(recipe, facts);
    const { code, span, replacements = [] } = finding;
    if (code !== 'no-layer-matches' || !header || replacements.length > 0) return [];
    const written = recipe.text.slice(span.start, span.end).replace(/^["']|["']$/g, '');
    const matches = (pattern: string): boolean => matchingLayers(header, pattern).length > 0;
    const ending = endings(written).find(matches);
    if (ending !== undefined) return [change(span, ending, false)];
    const last = String(Math.max(0, ...header.linears.map(({ block }) => block ?? 0)));
    const [inLast, inAll] = [last, '*'].map((number) => written.replace(/(?<=\.)\d+(?=\.)/, number));
    // Which blocks were meant nobody can tell.
    return [...new Set([inLast!, inAll!])].filter((pattern) => pattern !== written && matches(pattern)).map((pattern) => change(span, pattern, true));
}

function endings(written: string): string[] {
    const plain = written.replace(/^re:/, '');
    const isExpression = plain !== written || /[\\^$]|\.\*[^.]/.test(plain);
    const pattern = isExpression ? plain.replace(/[\\^$]/g, '').replace(/(^|[^.])\.\*|\.\*(?!\.)/g, '$1*') : plain;
    const end = pattern.replace(/^[*.]+/, '');
    return end === '' ? [] : [`*.${end}`, `*${end}`, `*${end}*`];
}

function change(span: Finding['span'], pattern: string, isJudgement: boolean): Change {
    const text = JSON.stringify(pattern);
    return { title: l10n.t('Change to {0}', text), edits: [{ ...span, text }], isJudgement };
}
