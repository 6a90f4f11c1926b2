import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import { bytes } from './amounts';
import { modelHeader, type Facts, type FileFact } from './facts';
import { WrongPlaces } from './finding';
import { code } from './markdown';
import type { Place, Recipe } from './recipe';
import { dataFindings, sequencesOf, thousands } from './validate-data';

const MOST_FIELDS = 12;

/** What stands in a file of texts, and how many sequences the section around its name can get from it; undefined: nobody has looked. */
export function aboutData(recipe: Recipe, place: Place, facts: Facts): string | undefined {
    const fact = facts.files.get(place.text);
    if (!fact) return undefined;
    const [wrong] = dataFindings(place, facts);
    if (fact.kind !== 'file') return wrong?.message;
    const size = fact.bytes === undefined ? '' : `, ${bytes(fact.bytes)}`;
    return [`**${code(path.basename(place.text))}** — ${contents(fact)}${size}`, wrong?.message ?? '', wrong ? '' : sequences(recipe, place, facts)].filter(Boolean).join('\n\n');
}

function contents({ lines, fields = [] }: FileFact): string {
    const count = lines && (lines.isExact ? thousands.format(lines.count) : l10n.t('about {0}', thousands.format(lines.count)));
    const counted = count === undefined ? l10n.t('a file') : lines?.count === 1 ? l10n.t('1 line') : l10n.t('{0} lines', count);
    const named = fields.slice(0, MOST_FIELDS).map(code).join(', ') + (fields.length > MOST_FIELDS ? ', …' : '');
    return fields.length === 0 ? counted : l10n.t('{0} with {1}', counted, named);
}

function sequences(recipe: Recipe, place: Place, facts: Facts): string {
    const header = modelHeader(recipe, facts);
    const found = header && sequencesOf(place.parent, header, facts, new WrongPlaces([]));
    if (!found) return '';
    const { most, samples, length } = found;
    return l10n.t('At most {0} sequences of {1} tokens, as every token stands for at least one byte; {2} are asked for.', thousands.format(most), thousands.format(length), thousands.format(samples));
}
