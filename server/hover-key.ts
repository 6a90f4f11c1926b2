import * as l10n from '@vscode/l10n';
import { firstOfEachMethod } from './usual';
import type { Place, Recipe } from './recipe';
import { discriminator, listedValues, type JsonSchema, type Slot } from './schema';
import { plainDefault } from './snippet';
import { kindName, oneOf } from './validate-schema';

const MOST_VALUES = 8;

/** A key: what kind of value it takes, what it means, which values there are, and the default. */
export function aboutKey(recipe: Recipe, name: string, slot: Slot): string {
    const kinds = [...new Set(slot.alternatives.map(({ kind }) => kind))].filter((kind) => kind !== 'nothing');
    const facts = slot.alternatives.flatMap(({ schema }) => rangeText(schema));
    const values = valuesText(recipe, slot);
    if (values !== '') facts.push(values);
    const usual = plainDefault(slot.default);
    if (usual !== '' && !slot.saysDefault) facts.push(l10n.t('Default: {0}.', `\`${usual}\``));
    return [`**${name}** — ${oneOf(kinds.map(kindName))}`, slot.description, facts.join(' ')].filter(Boolean).join('\n\n');
}

/** Of very many ways to quantize one of each method. */
function valuesText(recipe: Recipe, slot: Slot): string {
    const names = slot.alternatives.flatMap(listedValues).map(({ value }) => String(value));
    const shown = names.length > MOST_VALUES ? firstOfEachMethod(recipe.schema, names).slice(0, MOST_VALUES) : names;
    const text = shown.map((name) => `\`${name}\``).join(', ');
    if (names.length === 0) return '';
    return shown.length < names.length ? l10n.t('Values: {0} and {1} more.', text, names.length - shown.length) : l10n.t('Values: {0}.', text);
}

function rangeText({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string[] {
    const [low, high] = [minimum ?? exclusiveMinimum, maximum ?? exclusiveMaximum];
    if (low === undefined) return high === undefined ? [] : [l10n.t('Range: to {0}.', high)];
    if (exclusiveMinimum !== undefined) return [high === undefined ? l10n.t('Range: above {0}.', low) : l10n.t('Range: above {0} to {1}.', low, high)];
    return [high === undefined ? l10n.t('Range: from {0}.', low) : l10n.t('Range: from {0} to {1}.', low, high)];
}

/** What may stand behind a key: behind the one that says which of several mappings is meant, the names of all of them. */
export function slotOfKey(recipe: Recipe, mapping: Place | undefined, name: string, slot: Slot): Slot {
    const mappings = (mapping?.slot?.alternatives ?? []).filter(({ kind }) => kind === 'mapping');
    const joined = mappings.length > 1 && discriminator(mappings) === name ? recipe.schema.joinedSlot(mappings.flatMap(({ schema }) => schema.properties?.[name] ?? [])) : undefined;
    return joined ? { ...joined, description: l10n.t('How the stored weights are found. The keys beside it are its arguments.') } : slot;
}
