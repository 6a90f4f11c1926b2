import { isCertain } from './certain';
import type { Facts } from './facts';
import { WrongPlaces, type Finding } from './finding';
import { dashBefore, placeAt, type Recipe, type Span } from './recipe';
import { soundPart } from './sound';
import { calibrationFindings } from './validate-calibration';
import { candidateFindings } from './validate-candidates';
import { withMethods } from './validate-methods';
import { misplacedArgumentFindings, unstorableFindings } from './validate-output';
import { worldFindings } from './validate-world';
import { schemaFindings } from './validate-schema';
import { withSecrets } from './validate-secrets';
import { fixedGroupFindings } from './validate-sizes';

/** Everything that docs/diagnostics.md knows about a recipe, as far as its text can be read and the facts go, in document order. */
export function validate(recipe: Recipe, facts: Facts): Finding[] {
    const sound = soundPart(recipe);
    const schema = [...withMethods(sound.recipe, schemaFindings(sound.recipe)), ...fixedGroupFindings(sound.recipe), ...misplacedArgumentFindings(sound.recipe)];
    const wrong = new WrongPlaces(schema);
    const own = [candidateFindings, unstorableFindings, calibrationFindings].flatMap((find) => find(sound.recipe, wrong));
    const world = [...own, ...worldFindings(sound.recipe, facts, wrong)];
    const syntax = sound.faults.map(({ span, message }): Finding => ({ code: 'yaml-syntax', severity: 'error', span, message }));
    const certain = [...schema, ...world].filter((finding) => isCertain(finding, sound));
    return distinct(withSecrets(recipe, atAnchors(sound.recipe, [...syntax, ...certain])).map(onOneLine)).sort((a, b) => a.span.start - b.span.start);
}

/** Texts of the recipe may be longer than a line; lists of problems show one. */
function onOneLine(finding: Finding): Finding {
    return { ...finding, message: finding.message.replace(/[ \t]*[\r\n]+[ \t]*/g, ' ') };
}

/** What an alias means is wrong where it is written. The findings of what stands there itself come first: only they can be mended there. */
function atAnchors(recipe: Recipe, findings: readonly Finding[]): Finding[] {
    const own = findings.filter(({ span }) => !recipe.aliased.has(span.start));
    const meant = findings.flatMap((finding): Finding[] => {
        const span = recipe.aliased.get(finding.span.start);
        return span ? [{ ...finding, span: writtenSpan(recipe, finding, span), replacements: [], unquoted: undefined }] : [];
    });
    return [...own, ...meant];
}

/** Where nothing is written, the key or dash before it. */
function writtenSpan({ text, root }: Recipe, { path }: Finding, span: Span): Span {
    if (span.start < span.end) return span;
    return placeAt(root, path ?? [])?.key ?? dashBefore(text, span.start);
}

/** What stands once and is used through aliases is wrong once. */
function distinct(findings: readonly Finding[]): Finding[] {
    const identity = ({ code, message, span }: Finding): string => `${code} ${span.start} ${message}`;
    return [...new Map(findings.toReversed().map((finding) => [identity(finding), finding])).values()].reverse();
}
