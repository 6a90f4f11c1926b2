import * as l10n from '@vscode/l10n';
import { errorAt, type Finding } from './finding';
import { nearest } from './nearest';
import { childNamed, type Place, type Recipe } from './recipe';

const SCHEME = /^([A-Za-z0-9_]+)(-g\d+|-channel)?$/;
const SHORT = /^([a-z0-9]+)-([a-z0-9_]+?)(-g\d+|-channel)?$/;

/** The same findings; an unknown value that is a method with a scheme that others have, or a scheme without a method, says so. */
export function withMethods(recipe: Recipe, findings: readonly Finding[]): readonly Finding[] {
    if (!findings.some(({ code }) => code === 'unknown-value')) return findings;
    const unfit = new Map(recipe.places.flatMap((place) => misfit(recipe, place) ?? []).map((finding) => [finding.span.start, finding]));
    // Through an alias one text stands in several places.
    return findings.map((finding) => (finding.code === 'unknown-value' ? { ...finding, ...unfit.get(finding.span.start), path: finding.path } : finding));
}

function misfit(recipe: Recipe, place: Place): Finding | undefined {
    if (place.kind === 'text' && place.slot) return ofShortForm(recipe, place) ?? ofSchemeAlone(recipe, place);
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
    return finding(recipe, place, method, scheme, shortForms(recipe, scheme, size));
}

function ofSchemeAlone(recipe: Recipe, place: Place): Finding | undefined {
    const [, name = '', size = ''] = SCHEME.exec(place.text) ?? [];
    const scheme = name.toUpperCase();
    if (!isUse(place) || !Object.hasOwn(recipe.schema.schemes, scheme) || Object.hasOwn(recipe.schema.shortForms, name.toLowerCase())) return undefined;
    const forms = shortForms(recipe, scheme, size);
    const message = l10n.t('"{0}" is a scheme without a method; write one of: {1}', place.text, forms.join(', '));
    return errorAt('method-scheme', place, message, forms);
}

/** Whether a way to quantize stands there. */
function isUse({ path }: Place): boolean {
    const [before, last] = path.slice(-2);
    return last === 'default' || last === 'use' || (before === 'candidates' && typeof last === 'number');
}

/** Of all methods that have the scheme, with a group size where one can be chosen. */
function shortForms(recipe: Recipe, scheme: string, size: string): string[] {
    const forms = Object.entries(recipe.schema.shortForms).filter(([, form]) => form.scheme === scheme).map(([form]) => form);
    return forms.map((form) => (recipe.schema.schemes[scheme]!.regroupable ? form + size : form));
}

function schemesOf(recipe: Recipe, method: string): string[] {
    return Object.values(recipe.schema.shortForms).filter((form) => form.method === method).map(({ scheme }) => scheme);
}

function finding(recipe: Recipe, place: Place, method: string, scheme: string, replacements: readonly string[]): Finding {
    const others = new Set(Object.values(recipe.schema.shortForms).filter((form) => form.scheme === scheme).map((form) => form.method));
    const message = l10n.t('{0} has no scheme {1}; methods that have it: {2}', method, scheme, [...others].join(', '));
    return { code: 'method-scheme', severity: 'error', span: place.span, message, path: place.path, replacements };
}
