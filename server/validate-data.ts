import * as l10n from '@vscode/l10n';
import type { CheckpointHeader } from '../protocol/checkpoint';
import type { Facts, FolderData } from './facts';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { childNamed, type Place, type Recipe } from './recipe';

const SECTIONS = ['calibration', 'evaluate'];
export const thousands = new Intl.NumberFormat('en-US');

/** What is wrong with a file of texts: not there, a folder, no JSON lines, no text. */
export function dataFindings(place: Place, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    if (fact?.kind === 'missing') return [errorAt('data-missing', place, l10n.t('no file at "{0}"', place.text))];
    if (fact?.kind === 'folder') return [ofFolder(place, fact.data)];
    if (typeof fact?.text === 'object') return [errorAt('data-broken', place, `"${place.text}" ${fact.text.broken}`)];
    if (fact?.text !== 'none') return [];
    const message = fact.fields?.length && !fact.fields.includes('text')
        ? l10n.t('"{0}" has no text: the fields of its first line are {1}', place.text, listed(fact.fields))
        : l10n.t('"{0}" has no text', place.text);
    return [errorAt('data-empty', place, message)];
}

function ofFolder(place: Place, data: FolderData | undefined): Finding {
    const written = place.text.replace(/\/+$/, '');
    if (data?.isDataset) return errorAt('data-folder', place, ofDataset(place.text, data));
    if (data?.file === undefined) return errorAt('data-folder', place, l10n.t('"{0}" is a folder; only .jsonl and .txt files are read', place.text));
    const file = `${written}/${data.file}`;
    return errorAt('data-folder', place, l10n.t('"{0}" is a folder; did you mean "{1}"?', place.text, file), [file]);
}

function ofDataset(text: string, { rows, columns, splits }: FolderData): string {
    const parts = [
        ...(splits.length > 0 ? [l10n.t('splits {0}', listed(splits))] : []),
        ...(rows === undefined ? [] : [l10n.t('{0} rows', thousands.format(rows))]),
        ...(columns.length > 0 ? [l10n.t('columns {0}', listed(columns))] : []),
    ];
    const what = parts.length > 0 ? l10n.t('a dataset folder with {0}', parts.join('; ')) : l10n.t('a dataset folder');
    return l10n.t('"{0}" is {1}; only .jsonl and .txt files are read', text, what);
}

const MAX_NAMED = 12;

function listed(names: readonly string[]): string {
    return names.slice(0, MAX_NAMED).join(', ');
}

/** How many sequences a section asks of its texts, and how many they can give at most. */
export interface Sequences {
    readonly most: number;
    readonly samples: number;
    readonly length: number;
}

/** undefined: what is written is wrong, or nothing is known of the texts. Whatever the tokenizer, every token stands for at least one byte of the file. */
export function sequencesOf(section: Place | undefined, header: CheckpointHeader, facts: Facts, wrong: WrongPlaces): Sequences | undefined {
    const data = childNamed(section, 'data');
    const fact = data && wrong.isRight(data) && data.kind === 'text' ? facts.files.get(data.text) : undefined;
    const [samples, length] = [numberAt(section, 'samples', wrong), numberAt(section, 'sequence_length', wrong, header.maximumTokens)];
    if (fact?.text !== 'some' || fact.bytes === undefined || samples === undefined || length === undefined || length > (header.maximumTokens ?? length)) return undefined;
    // A sequence may begin with a token that stands for nothing of the text.
    return { most: Math.max(1, Math.floor(fact.bytes / Math.max(1, length - 1))), samples, length };
}

/** Texts that cannot have as many sequences as asked. */
export function shortFindings(recipe: Recipe, header: CheckpointHeader, facts: Facts, wrong: WrongPlaces): Finding[] {
    return SECTIONS.flatMap((name): Finding[] => {
        const section = childNamed(recipe.root, name);
        const data = childNamed(section, 'data');
        const sequences = sequencesOf(section, header, facts, wrong);
        if (!data || !sequences || sequences.most >= sequences.samples) return [];
        const { most, samples, length } = sequences;
        const bytes = thousands.format(facts.files.get(data.text)?.bytes ?? 0);
        const message = l10n.t('"{0}" gives at most {1} of {2} sequences of {3} tokens: it has {4} bytes', data.text, most, samples, length, bytes);
        return [{ ...errorAt('data-short', data, message), severity: 'warning' }];
    });
}

/** What is written, else the default, at most `most`; undefined: what is written is wrong. */
function numberAt(section: Place | undefined, name: string, wrong: WrongPlaces, most: number | null = null): number | undefined {
    const place = childNamed(section, name);
    if (place) return place.kind === 'integer' && wrong.isRight(place) ? Number(place.value) : undefined;
    const usual = section?.shape?.properties?.[name]?.default;
    return typeof usual === 'number' ? Math.min(usual, most ?? usual) : undefined;
}
