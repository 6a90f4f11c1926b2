import * as l10n from '@vscode/l10n';
import type { Finding } from './finding';
import { ownerSpan, spanOf } from './finding';
import { MERGE } from './merge-keys';
import { suggestion } from './nearest';
import { childNamed, type Place, type Recipe, type Span } from './recipe';
import { discriminator, listedValues, type Alternative, type JsonSchema, type Kind, type Slot } from './schema';

export function kindName(kind: Kind): string {
    switch (kind) {
        case 'mapping': return l10n.t('a mapping');
        case 'list': return l10n.t('a list');
        case 'text': return l10n.t('a string');
        case 'integer': return l10n.t('a whole number');
        case 'number': return l10n.t('a number');
        case 'boolean': return l10n.t('true or false');
        case 'nothing': return l10n.t('nothing');
    }
}

/** What the schema alone says against a recipe. */
export function schemaFindings(recipe: Recipe): Finding[] {
    const findings: Finding[] = [];
    checkPlace(recipe.root);
    return findings;

    function checkPlace(place: Place): void {
        if (place.kind === 'mapping') checkDuplicates(place);
        if (!place.slot) return;
        // An empty document is an empty mapping.
        const kind = place.parent === undefined && place.kind === 'nothing' ? 'mapping' : place.kind;
        const alternatives = isSpecial(place) ? [] : place.slot.alternatives.filter((alternative) => accepts(alternative.kind, kind));
        if (alternatives.length === 0) findings.push(wrongType(place, place.slot));
        else if (kind === 'mapping') checkMapping(place, alternatives);
        else if (kind === 'list') checkList(place, alternatives);
        else checkScalar(place, alternatives, place.slot);
    }

    function checkDuplicates(place: Place): void {
        for (const second of place.duplicates) {
            const first = childNamed(place, second.key?.name ?? '')?.key;
            if (!first || !second.key) continue;
            const { line } = recipe.lines.linePos(first.start);
            findings.push({
                code: 'duplicate-key',
                severity: 'error',
                span: second.key,
                message: l10n.t('"{0}" is written twice; the first one is in line {1}', second.key.name, line),
                related: [{ span: first, message: l10n.t('the first one') }],
                path: second.path,
                removable: second,
            });
        }
    }

    function checkMapping(place: Place, alternatives: readonly Alternative[]): void {
        if (!place.shape) {
            checkDiscriminator(place, alternatives);
            return;
        }
        const properties = place.shape.properties ?? {};
        for (const child of place.children) {
            const name = child.key?.name ?? '';
            if (Object.hasOwn(properties, name)) {
                checkPlace(child);
                findings.push(...deprecated(child, properties[name]!));
            } else findings.push(unknownKey(child, Object.keys(properties)));
        }
        // What a merge key was meant to bring is not missing besides.
        const required = childNamed(place, MERGE) ? [] : (place.shape.required ?? []);
        for (const key of required) if (!childNamed(place, key)) findings.push(missingKey(recipe, place, key));
        const exactlyOne = place.shape['x-exactly-one'] ?? [];
        if (exactlyOne.length > 0 && !childNamed(place, MERGE) && !exactlyOne.some((name) => childNamed(place, name))) findings.push(missingAlternative(recipe, place, exactlyOne));
        for (const names of [exactlyOne, ...(place.shape['x-at-most-one'] ?? [])]) checkAtMostOne(place, names);
    }

    /** Of keys that exclude each other every further one is marked. */
    function checkAtMostOne(place: Place, names: readonly string[]): void {
        const [first, ...others] = place.children.filter(({ key }) => names.includes(key?.name ?? ''));
        for (const other of others) {
            if (!first?.key || !other.key) continue;
            const message = l10n.t('"{0}" and "{1}" exclude each other; only one of {2} can be written', other.key.name, first.key.name, names.join(', '));
            const related = [{ span: first.key, message: l10n.t('the first one') }];
            findings.push({ code: 'exclusive-keys', severity: 'error', span: other.key, message, related, path: other.path, removable: other });
        }
    }

    /** No alternative was named, or one that does not exist. */
    function checkDiscriminator(place: Place, alternatives: readonly Alternative[]): void {
        const property = discriminator(alternatives);
        if (property === undefined) return;
        const written = childNamed(place, property);
        const merge = childNamed(place, MERGE);
        if (!written && merge) findings.push(unknownKey(merge, []));
        else if (!written) findings.push(missingKey(recipe, place, property));
        else if (written.kind !== 'text') findings.push(error(recipe, 'wrong-type', written, l10n.t('expected {0}, found {1}', kindName('text'), found(written))));
        else findings.push(unknownValue(recipe, written, alternatives.map(({ schema }) => String(schema.properties?.[property]?.const))));
    }

    function checkList(place: Place, alternatives: readonly Alternative[]): void {
        if (place.children.length < (alternatives[0]?.schema.minItems ?? 0)) findings.push(error(recipe, 'out-of-range', place, l10n.t('must not be empty')));
        place.children.forEach(checkPlace);
    }

    function wrongType(place: Place, slot: Slot): Finding {
        const finding = error(recipe, 'wrong-type', place, l10n.t('expected {0}, found {1}', expected(slot), found(place)));
        const isNumber = slot.alternatives.some(({ kind }) => kind === 'number' || kind === 'integer') && place.kind === 'text' && NUMBER.test(place.text);
        return isNumber ? { ...finding, unquoted: place.text } : finding;
    }

    function checkScalar(place: Place, alternatives: readonly Alternative[], slot: Slot): void {
        if (alternatives.some(({ schema }) => fits(recipe, place, schema))) return;
        const numbers = slot.alternatives.filter(({ kind }) => kind === 'number' || kind === 'integer');
        if (place.kind === 'text' && numbers.length > 0 && NUMBER.test(place.text)) {
            findings.push(wrongType(place, { ...slot, alternatives: numbers }));
            return;
        }
        const names = alternatives.flatMap((alternative) => listedValues(alternative).map(({ value }) => String(value)));
        const range = alternatives.map(({ schema }) => outOfRange(place, schema)).find((sentence) => sentence !== undefined);
        const examples = alternatives.flatMap(({ schema }) => schema.examples ?? []).map(String);
        findings.push(range !== undefined ? error(recipe, 'out-of-range', place, range) : unknownValue(recipe, place, names, examples));
    }
}

/** What is a number but for its quotes. */
const NUMBER = /^\d+(\.\d+)?$/;

function accepts(kind: Kind, written: Kind): boolean {
    return kind === written || (kind === 'number' && written === 'integer');
}

/** Infinities and not-a-number are no kind that a recipe knows. */
function isSpecial({ kind, value }: Place): boolean {
    return kind === 'number' && !Number.isFinite(value);
}

function expected(slot: Slot): string {
    const kinds = [...new Set(slot.alternatives.map(({ kind }) => kind))].filter((kind) => kind !== 'nothing');
    return oneOf(kinds.map(kindName));
}

function found(place: Place): string {
    return place.kind === 'boolean' || isSpecial(place) ? place.text : kindName(place.kind);
}

function fits(recipe: Recipe, place: Place, schema: JsonSchema): boolean {
    if (schema.const !== undefined && schema.const !== place.value) return false;
    if (schema.enum && !schema.enum.includes(place.value)) return false;
    if (schema.pattern !== undefined && !recipe.schema.matches(schema.pattern, place.text)) return false;
    return outOfRange(place, schema) === undefined;
}

function outOfRange({ value, text }: Place, schema: JsonSchema): string | undefined {
    if (typeof value === 'string' && value.length < (schema.minLength ?? 0)) return l10n.t('must not be empty');
    if (typeof value !== 'number') return undefined;
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
    if (minimum !== undefined && value < minimum) return l10n.t('{0} is below the minimum of {1}', text, minimum);
    if (maximum !== undefined && value > maximum) return l10n.t('{0} is above the maximum of {1}', text, maximum);
    if (exclusiveMinimum !== undefined && !(value > exclusiveMinimum)) return l10n.t('{0} must be above {1}', text, exclusiveMinimum);
    if (exclusiveMaximum !== undefined && !(value < exclusiveMaximum)) return l10n.t('{0} must be below {1}', text, exclusiveMaximum);
    return undefined;
}

function error(recipe: Recipe, code: Finding['code'], place: Place, message: string): Finding {
    return { code, severity: 'error', span: spanOf(recipe, place), message, path: place.path };
}

function unknownValue(recipe: Recipe, place: Place, names: readonly string[], examples: readonly string[] = []): Finding {
    const unknown = (hint: string): Finding => error(recipe, 'unknown-value', place, l10n.t('unknown value "{0}"; {1}', place.text, hint));
    if (names.length === 0) return unknown(l10n.t('write for example {0}', oneOf(examples)));
    const { hint, near, names: offered } = suggestion(place.text, names);
    return { ...unknown(hint), replacements: near === undefined ? offered.slice(0, 3) : [near] };
}

function unknownKey(place: Place, names: readonly string[]): Finding {
    const key = place.key ?? { ...place.span, name: '' };
    if (key.name === MERGE) {
        const message = l10n.t('"<<" merges nothing: it is a key like any other in YAML 1.2; write the keys themselves');
        return { code: 'unknown-key', severity: 'error', span: key, message, path: place.path, removable: place };
    }
    const { hint, near } = suggestion(key.name, names);
    const message = l10n.t('unknown key "{0}"; {1}', key.name, hint);
    return { code: 'unknown-key', severity: 'error', span: key, message, path: place.path, replacements: near === undefined ? [] : [near], removable: place };
}

function missingKey(recipe: Recipe, owner: Place, key: string): Finding {
    const missing = { owner, keys: [key] };
    return { code: 'missing-key', severity: 'error', span: markOf(recipe, owner), message: l10n.t('missing key "{0}"', key), path: [...owner.path, key], missing };
}

function missingAlternative(recipe: Recipe, owner: Place, keys: readonly string[]): Finding {
    const message = l10n.t('missing key: one of {0}', keys.join(', '));
    return { code: 'missing-key', severity: 'error', span: markOf(recipe, owner), message, path: owner.path, missing: { owner, keys } };
}

/** A key that still works and will not for ever; its value is checked and used like any other. */
function deprecated({ key }: Place, schema: JsonSchema): Finding[] {
    if (!schema.deprecated || !key) return [];
    const better = schema['x-replaced-by'];
    const message = better === undefined ? l10n.t('"{0}" is deprecated', key.name) : l10n.t('"{0}" is deprecated; write "{1}"', key.name, better);
    return [{ code: 'deprecated-key', severity: 'warning', span: key, message, replacements: better === undefined ? [] : [better] }];
}

export function oneOf(texts: readonly string[]): string {
    return texts.length === 0 ? '' : texts.reduce((before, text) => l10n.t('{0} or {1}', before, text));
}

/** What is marked when a mapping lacks something: its key, or its first one in a list. */
function markOf(recipe: Recipe, owner: Place): Span {
    const first = owner.parent?.kind === 'list' ? owner.children[0]?.key : undefined;
    const isItem = owner.parent?.kind === 'list' && owner.span.start < owner.span.end;
    return first ?? (isItem ? owner.span : ownerSpan(recipe, owner));
}
