import * as l10n from '@vscode/l10n';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { usePlaces } from './layers';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { readUse } from './uses';

/** What needs calibration data in a recipe that has none. */
export function calibrationFindings(recipe: Recipe, wrong: WrongPlaces): Finding[] {
    if (isWritten(placeAt(recipe.root, ['calibration']))) return [];
    const uses = usePlaces(recipe).filter((place) => wrong.isWhollyRight(place));
    return [...uses.flatMap((place) => ofUse(recipe, place)), ...ofObjective(recipe, wrong)];
}

function ofUse(recipe: Recipe, place: Place): Finding[] {
    const use = readUse(recipe, place);
    if (!use) return [];
    if (recipe.schema.methods[use.method]?.needs_calibration) return [missing(childNamed(place, 'method') ?? place, l10n.t('{0} needs calibration data, and the recipe has none', use.method))];
    return use.format?.calibrated_inputs ? [missing(childNamed(place, 'scheme') ?? place, l10n.t('{0} stores a scale of its inputs, which needs calibration data, and the recipe has none', use.scheme))] : [];
}

/** Of a budget whose noise is weighed, by what is written or by default. */
function ofObjective(recipe: Recipe, wrong: WrongPlaces): Finding[] {
    const budget = placeAt(recipe.root, ['quantize', 'budget']);
    const limit = budget?.children.find((place) => ['bits_per_weight', 'size'].includes(place.key?.name ?? '') && isWritten(place) && wrong.isRight(place));
    const written = childNamed(budget, 'objective');
    if (!limit || (isWritten(written) && !wrong.isRight(written))) return [];
    const objective = isWritten(written) ? written.value : objectiveByDefault(budget);
    if (objective !== 'importance') return [];
    return [isWritten(written) ? missing(written, needed(), ['noise']) : missing(limit, needed())];
}

function needed(): string {
    return l10n.t('the objective importance needs calibration data, and the recipe has none');
}

function objectiveByDefault(budget: Place | undefined): unknown {
    return budget?.shape?.properties?.objective?.default;
}

function missing(place: Place, message: string, replacements: readonly string[] = []): Finding {
    return errorAt('calibration-missing', place, message, replacements);
}

/** A key without a value counts as absent. */
function isWritten(place: Place | undefined): place is Place {
    return place !== undefined && place.kind !== 'nothing';
}
