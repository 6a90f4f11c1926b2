import * as l10n from '@vscode/l10n';
import type { Finding } from './finding';
import { nearest } from './nearest';
import { childNamed, type Place, type Recipe } from './recipe';

const SHORT = /^([a-z0-9]+)-([a-z0-9_]+?)(-g\d+|-channel)?$/;

/** The same findings; an unknown value that is a method with a scheme that others have says so. */
export function withMethods(recipe: Recipe, findings: readonly Finding[]): readonly Finding[] {
    if (!findings.some(({ code }) => code === 'unknown-value')) return findings;
    const unfit = new Map(recipe.places.flatMap((place) => misfit(recipe, place) ?? []).map((finding) => [finding.span.start, finding]));
    return findings.map((finding) => (finding.code === 'unknown-value' ? { ...finding, ...unfit.get(finding.span.start) } : finding));
}

function misfit(recipe: Recipe, place: Place): Finding | undefined {
    if (place.kind === 'text' && place.slot) return ofShortForm(recipe, place);
    const [method, scheme] = [childNamed(place, 'method'), childNamed(place, 'scheme')];
    const known = schemesOf(recipe, method?.text ?? '');
    if (!method || !scheme || known.length === 0 || known.includes(scheme.text) || !Object.hasOwn(recipe.schema.schemes, scheme.text)) return undefined;
    const near = nearest(scheme.text, known);
    return finding(recipe, scheme, method.text, scheme.text, near === undefined ? [] : [near]);
}

function ofShortForm(recipe: Recipe, place: Place): Finding | undefined {
    const [, method = '', name = '', size = ''] = SHORT.exec(place.text) ?? [];
    const scheme = name.toUpperCase();
    if (schemesOf(recipe, method).length === 0 || !Object.hasOwn(recipe.schema.schemes, scheme) || schemesOf(recipe, method).includes(scheme)) return undefined;
    const forms = Object.entries(recipe.schema.shortForms).filter(([, form]) => form.scheme === scheme).map(([form]) => form);
    return finding(recipe, place, method, scheme, forms.map((form) => (recipe.schema.schemes[scheme]!.regroupable ? form + size : form)));
}

function schemesOf(recipe: Recipe, method: string): string[] {
    return Object.values(recipe.schema.shortForms).filter((form) => form.method === method).map(({ scheme }) => scheme);
}

function finding(recipe: Recipe, place: Place, method: string, scheme: string, replacements: readonly string[]): Finding {
    const others = new Set(Object.values(recipe.schema.shortForms).filter((form) => form.scheme === scheme).map((form) => form.method));
    const message = l10n.t('{0} has no scheme {1}; methods that have it: {2}', method, scheme, [...others].join(', '));
    return { code: 'method-scheme', severity: 'error', span: place.span, message, path: place.path, replacements };
}
