import * as l10n from '@vscode/l10n';
import type { Linear } from '../protocol/checkpoint';
import type { Decisions } from './decisions';
import { errorAt, spanOf, type Finding, type WrongPlaces } from './finding';
import { rulePlaces } from './layers';
import { childNamed, type Place, type Recipe } from './recipe';
import { dividing, readUse } from './uses';

/** Group sizes that do not divide a layer's input width. */
export function groupSizeFindings(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): Finding[] {
    const blocks = decisions.header.linears.filter(({ block }) => block !== null);
    const deciders = ['default' as const, ...rulePlaces(recipe).keys()];
    const uses: [Place | undefined, readonly Linear[]][] = [
        ...decisions.candidatePlaces.map((place): [Place, Linear[]] => [place, blocks]),
        ...deciders.map((decider): [Place | undefined, readonly Linear[]] => [decisions.placeOf(decider), decisions.layers.get(decider) ?? []]),
    ];
    return uses.flatMap(([place, layers]) => {
        const use = place && wrong.isWhollyRight(place) ? readUse(recipe, place) : undefined;
        const size = use && dividing(use);
        const layer = size ? layers.find(({ inputs }) => inputs % size !== 0) : undefined;
        if (!use || !layer) return [];
        const sizes = use.format?.regroupable ? fittingSizes(recipe, use.sizePlace, layers) : [];
        const problem = l10n.t('group size {0} does not divide the input width {1} of {2}', size!, layer.inputs, layer.name);
        const message = sizes.length > 0 ? l10n.t('{0}; sizes that fit: {1}', problem, sizes.join(', ')) : problem;
        const spellings = use.format?.regroupable ? sizeSpellings(recipe, use.sizePlace, sizes.toSorted((a, b) => Math.abs(a - size!) - Math.abs(b - size!))) : [];
        return [errorAt('group-size', use.sizePlace, message, spellings)];
    });
}

/** A group size beside a scheme that has its own. */
export function fixedGroupFindings(recipe: Recipe): Finding[] {
    return recipe.places.flatMap((place): Finding[] => {
        const size = childNamed(place, 'group_size');
        const scheme = childNamed(place, 'scheme');
        if (!size || ['nothing', 'mapping', 'list'].includes(size.kind) || recipe.schema.schemes[scheme?.text ?? '']?.regroupable !== false) return [];
        const message = l10n.t('{0} has no group size to choose: remove group_size', scheme?.text ?? '');
        return [{ code: 'unknown-value', severity: 'error', span: spanOf(recipe, size), message, path: size.path, removable: size }];
    });
}

const GROUP_STEP = 8;
const LARGEST_LISTED = 256;

/** Usual group sizes that suit every layer concerned and can be written where the size is set, ascending: a short form knows only some. */
function fittingSizes(recipe: Recipe, place: Place, layers: readonly Linear[]): number[] {
    const isShort = place.key?.name !== 'group_size' && place.key?.name !== 'scheme';
    const all = Array.from({ length: LARGEST_LISTED / GROUP_STEP }, (_, index) => GROUP_STEP * (index + 1));
    return (isShort ? recipe.schema.groupSizes : all).filter((size) => layers.every(({ inputs }) => inputs % size === 0));
}

const MAX_OFFERED = 4;

/** What to write at the place that sets the size; nothing where the size is only the scheme's default. */
function sizeSpellings(recipe: Recipe, place: Place, sizes: readonly number[]): string[] {
    if (place.key?.name === 'group_size') return [...sizes.slice(0, MAX_OFFERED).map(String), 'channel'];
    const patterns = (place.slot?.alternatives ?? []).flatMap(({ schema }) => schema.pattern ?? []);
    const base = place.text.replace(/-(g\d+|channel)$/, '');
    const spellings = [...sizes.map((size) => `${base}-g${size}`), `${base}-channel`];
    return spellings.filter((text) => patterns.some((pattern) => recipe.schema.matches(pattern, text)));
}
