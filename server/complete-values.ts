import * as l10n from '@vscode/l10n';
import { CompletionItemKind, InsertTextFormat, type CompletionItem } from 'vscode-languageserver/node';
import type { Cursor } from './cursor';
import { modelHeader, type Facts } from './facts';
import { patternOffers } from './complete-patterns';
import { budgetOffers } from './complete-budget';
import { sizeOffers, slotHere } from './complete-sizes';
import { regrouped } from './hover-method';
import { rangeOf } from './positions';
import type { Recipe } from './recipe';
import { discriminator, listedValues, type Slot } from './schema';
import { firstOfEachMethod, usualFormsFirst, usualSchemesFirst } from './usual';
import { readShortName } from './uses';

export interface FolderEntry {
    readonly name: string;
    readonly kind: 'file' | 'folder';
    /** A folder with a config.json and safetensors files. */
    readonly isCheckpoint: boolean;
}

/** What an item writes, before it is put at its place. */
interface Draft {
    readonly text: string;
    readonly label?: string;
    readonly kind: CompletionItemKind;
    readonly detail?: string;
    readonly documentation?: string;
    readonly snippet?: boolean;
    readonly again?: boolean;
    readonly isCheckpoint?: boolean;
}

/** Values that fit at the cursor, in the order of the schema; where a key may stand, too, they come first: what a word says needs no mapping. */
export function valueItems(recipe: Recipe, cursor: Cursor, facts: Facts, listing: readonly FolderEntry[]): CompletionItem[] {
    const { slot } = cursor.place;
    if (!slot) return [];
    const drafts = [
        ...(cursor.place.key?.name === 'group_size' ? [] : usualFirst(recipe, listedDrafts(slot))),
        ...sizeOffers(recipe, cursor.place, facts).map((offer): Draft => ({ ...offer, detail: offer.detail || undefined, kind: CompletionItemKind.Value })),
        ...spelledDrafts(recipe, slot, cursor.prefix),
        ...budgetOffers(recipe, cursor.place, cursor.prefix, facts).map((offer): Draft => ({ ...offer, kind: CompletionItemKind.Value })),
        ...exampleDrafts(slot),
        ...(slot.format === 'layer-pattern' ? patternDrafts(recipe, facts, cursor) : []),
        ...pathDrafts(slot, cursor, listing),
        ...aliasDrafts(recipe, cursor),
        ...(cursor.quoted ? [] : [...defaultDrafts(slotHere(recipe, cursor.place.key?.name ?? '', slot, facts)), ...mappingDrafts(slot), ...bracketDrafts(recipe, cursor), ...listDrafts(slot)]),
    ];
    const range = rangeOf(recipe, cursor.replace);
    return drafts.map((draft, index) => ({
        label: draft.label ?? draft.text,
        kind: draft.kind,
        detail: draft.detail,
        // Beside every label of the list, not only the one that has the focus.
        labelDetails: draft.detail === undefined ? undefined : { description: draft.detail },
        documentation: draft.documentation ? { kind: 'markdown', value: draft.documentation } : undefined,
        sortText: `a${String(index).padStart(5, '0')}`,
        // The editor compares with what is written in the range, which may begin with a quote or a folder.
        filterText: draft.snippet && draft.label !== undefined ? draft.label : draft.text,
        insertTextFormat: draft.snippet ? InsertTextFormat.Snippet : InsertTextFormat.PlainText,
        textEdit: { range, newText: draft.text },
        command: draft.again ? { title: '', command: 'editor.action.triggerSuggest' } : undefined,
    }));
}

function listedDrafts(slot: Slot): Draft[] {
    return slot.alternatives.flatMap((alternative): Draft[] => {
        if (alternative.kind === 'boolean') {
            return [true, false].map((value) => ({ text: String(value), kind: CompletionItemKind.Value, detail: value === slot.default ? l10n.t('default') : undefined }));
        }
        return listedValues(alternative).map(({ value, description }) => ({
            text: String(value), kind: CompletionItemKind.EnumMember, documentation: description,
        }));
    });
}

/** Names that are applied most come first. */
function usualFirst(recipe: Recipe, drafts: readonly Draft[]): Draft[] {
    const names = drafts.map(({ text }) => text);
    const isSchemes = names.length > 0 && names.every((name) => Object.hasOwn(recipe.schema.schemes, name));
    const ordered = isSchemes ? usualSchemesFirst(names) : usualFormsFirst(recipe.schema, names);
    return ordered.map((name) => drafts.find(({ text }) => text === name)!);
}

/** Longer spellings of a listed name that is already written: `gptq-w4a16` → `gptq-w4a16-g64`. */
function spelledDrafts(recipe: Recipe, slot: Slot, prefix: string): Draft[] {
    const names = new Map(slot.alternatives.flatMap(listedValues).map(({ value, description }) => [String(value), description]));
    const base = [...names.keys()].filter((name) => prefix.startsWith(name)).sort((a, b) => b.length - a.length)[0];
    if (base === undefined) return [];
    const spellings = slot.alternatives.flatMap(({ schema }) => (schema.pattern === undefined ? [] : recipe.schema.spelled(schema.pattern)));
    return spellings
        .filter((text) => text.startsWith(`${base}-`) && !names.has(text))
        .map((text) => {
            const short = readShortName(recipe, slot, text);
            const documentation = names.get(base) ?? '';
            return { text, kind: CompletionItemKind.EnumMember, documentation: short ? regrouped(documentation, { ...short, format: recipe.schema.schemes[short.scheme] }) : documentation };
        });
}

/** Of a text that has a form and no names, such as a size. */
function exampleDrafts(slot: Slot): Draft[] {
    const examples = slot.alternatives.flatMap(({ schema }) => schema.examples ?? []);
    return examples.map((text) => ({ text: String(text), kind: CompletionItemKind.Value, detail: l10n.t('for example') }));
}

function patternDrafts(recipe: Recipe, facts: Facts, cursor: Cursor): Draft[] {
    const header = modelHeader(recipe, facts);
    if (!header) return [];
    return patternOffers(header, cursor.prefix).map(({ pattern, count, names, opens }) => {
        const isPlain = cursor.quoted || /^[\w.]+$/.test(pattern);
        return {
            label: pattern,
            // A beginning goes on inside the quotes.
            text: isPlain ? pattern : opens ? `"${pattern.replace(/[$}\\]/g, '\\$&')}$1"` : `"${pattern}"`,
            snippet: opens && !isPlain,
            kind: opens ? CompletionItemKind.Module : CompletionItemKind.Reference,
            detail: count,
            documentation: names,
            again: opens,
        };
    });
}

/** Anchors that stand before the cursor, where an alias begins. */
function aliasDrafts(recipe: Recipe, cursor: Cursor): Draft[] {
    if (cursor.quoted || !/^\*?$/.test(cursor.prefix.slice(0, 1))) return [];
    const names = new Set(recipe.anchors.filter(({ start }) => start < cursor.replace.start).map(({ name }) => name));
    return [...names].map((name) => ({ text: `*${name}`, kind: CompletionItemKind.Variable, detail: l10n.t('alias') }));
}

function pathDrafts(slot: Slot, cursor: Cursor, listing: readonly FolderEntry[]): Draft[] {
    const folder = cursor.prefix.slice(0, cursor.prefix.lastIndexOf('/') + 1);
    const wanted = listing.filter(({ name, kind }) => {
        if (name.startsWith('.')) return false;
        return kind === 'folder' || (slot.format === 'path' && /\.(txt|jsonl)$/.test(name));
    });
    const drafts = wanted.map(({ name, kind, isCheckpoint }): Draft => {
        const opens = kind === 'folder' && !isCheckpoint;
        return {
            label: opens ? `${name}/` : name,
            text: quoteIfNeeded(folder + name + (opens ? '/' : ''), cursor.quoted),
            kind: kind === 'folder' ? CompletionItemKind.Folder : CompletionItemKind.File,
            detail: isCheckpoint ? l10n.t('checkpoint') : undefined, isCheckpoint,
            again: opens,
        };
    });
    const relevance = (draft: Draft): number => (draft.isCheckpoint || draft.kind === CompletionItemKind.File ? 0 : 1);
    return drafts.sort((a, b) => relevance(a) - relevance(b));
}

/** Text that YAML would not read as itself. */
function quoteIfNeeded(text: string, quoted: boolean): string {
    return quoted || /^[\w./~][\w./ +~@=-]*$/.test(text) ? text : JSON.stringify(text);
}

function defaultDrafts(slot: Slot): Draft[] {
    if (typeof slot.default !== 'number') return [];
    return [{ text: String(slot.default), kind: CompletionItemKind.Value, detail: l10n.t('default') }];
}

function mappingDrafts(slot: Slot): Draft[] {
    const property = discriminator(slot.alternatives);
    if (property === undefined) return [];
    return slot.alternatives.flatMap(({ schema }): Draft[] => {
        const name = schema.properties?.[property]?.const;
        if (typeof name !== 'string') return [];
        const required = (schema.required ?? []).filter((key) => key !== property);
        const keys = [`${property}: ${name}`, ...required.map((key, index) => `${key}: $${index + 1}`)];
        const label = `{ ${[`${property}: ${name}`, ...required.map((key) => `${key}: …`)].join(', ')} }`;
        return [{ label, text: `{ ${keys.join(', ')} }`, kind: CompletionItemKind.Struct, documentation: schema.description, snippet: true, again: required.length > 0 }];
    });
}

const MOST_IN_BRACKETS = 8;

/** Behind the key of a list, what one item of it may be. */
function bracketDrafts(recipe: Recipe, { place, prefix, replace }: Cursor): Draft[] {
    const isBehindKey = place.key !== undefined && !/[\r\n]/.test(recipe.text.slice(place.key.end, replace.start));
    const list = place.slot?.alternatives.find(({ kind }) => kind === 'list');
    const item = list?.schema.items && recipe.schema.slot(list.schema.items);
    if (!isBehindKey || !item || prefix !== '') return [];
    const listed = firstOfEachMethod(recipe.schema, item.alternatives.flatMap(listedValues).map(({ value }) => String(value)));
    const texts = [...listed, ...exampleDrafts(item).map(({ text }) => text)].slice(0, MOST_IN_BRACKETS);
    return texts.map((text) => ({ label: text, text: `[${text}$1]`, kind: CompletionItemKind.Value, detail: l10n.t('in brackets'), snippet: true }));
}

function listDrafts(slot: Slot): Draft[] {
    if (!slot.alternatives.some(({ kind }) => kind === 'list')) return [];
    return [{ label: '[ … ]', text: '[$1]', kind: CompletionItemKind.Struct, detail: l10n.t('a list'), snippet: true, again: true }];
}
