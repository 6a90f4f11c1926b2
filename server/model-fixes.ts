import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { Facts } from './facts';
import type { Finding } from './finding';
import { placeHolding, type Place, type Recipe } from './recipe';
import type { Change } from './refactor';

/** What a name on the Hugging Face Hub looks like, and a folder may. */
const HUB_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** Of a model that is not there: what was written in its place. */
export function missingModelAdvice(place: Place, facts: Facts): string {
    if (facts.files.get(place.text)?.kind === 'file') return l10n.t('This is a file. Write the folder that it is in.');
    return HUB_NAME.test(place.text) ? l10n.t('Only local folders are read, and nothing is downloaded. If this is a name on the Hugging Face Hub, run hf download {0} --local-dir FOLDER and write FOLDER, seen from the recipe.', place.text) : '';
}

/** For a file in the place of a model: the folder that it is in. */
export function modelFixes(recipe: Recipe, { code, span }: Finding, facts: Facts): Change[] {
    const place = code === 'model-missing' ? placeHolding(recipe, span.start) : undefined;
    const folder = place && path.posix.dirname(place.text);
    if (!place || !folder || folder === '.' || facts.files.get(place.text)?.kind !== 'file') return [];
    const [quote = ''] = /^["']/.exec(recipe.text.slice(span.start)) ?? [];
    return [{ title: l10n.t('Change to {0}', folder), edits: [{ ...span, text: quote + folder + quote }] }];
}
