import * as l10n from '@vscode/l10n';
import { spanOf, type Finding, type WrongPlaces } from './finding';
import { placeAt, type Place, type Recipe } from './recipe';
import { identityOf } from './uses';

/** Candidates that are the same as an earlier one, however they are written. */
export function candidateFindings(recipe: Recipe, wrong: WrongPlaces): Finding[] {
    const list = placeAt(recipe.root, ['candidates']);
    if (list?.kind !== 'list') return [];
    const first = new Map<string, Place>();
    return list.children.flatMap((place): Finding[] => {
        const identity = wrong.isWhollyRight(place) ? identityOf(recipe, place) : undefined;
        const same = identity === undefined ? undefined : first.get(identity);
        if (identity !== undefined && !same) first.set(identity, place);
        return same ? [duplicate(recipe, place, same)] : [];
    });
}

function duplicate(recipe: Recipe, place: Place, same: Place): Finding {
    const [number, first] = [place, same].map(({ path }) => Number(path.at(-1)) + 1);
    return {
        code: 'duplicate-candidate', severity: 'warning', span: spanOf(recipe, place), path: place.path, removable: place,
        message: l10n.t('candidate {0} is the same as candidate {1}', number!, first!),
        related: [{ span: spanOf(recipe, same), message: l10n.t('candidate {0}', first!) }],
    };
}
