import * as l10n from '@vscode/l10n';
import type { Linear } from '../protocol/checkpoint';
import type { Decisions } from './decisions';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { rulePlaces, usePlaces } from './layers';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { listedValues } from './schema';
import { needsOf, outputFormat, readUse, type Need } from './uses';

/** Schemes that the output's format does not have, and values of arguments that take another format: as far as the recipe alone tells. */
export function unstorableFindings(recipe: Recipe, wrong: WrongPlaces): Finding[] {
    const output = writtenFormat(recipe, wrong);
    if (output === undefined) return [];
    return usePlaces(recipe).flatMap((place): Finding[] => {
        const use = wrong.isWhollyRight(place) ? readUse(recipe, place) : undefined;
        if (!use) return [];
        const refused = use.format && !use.format.outputs.includes(output);
        const findings = refused ? [errorAt('output-format', schemePlace(place), l10n.t('{0} cannot be stored in GPTQ\'s format, which has integer weights of 2, 3, 4 or 8 bits and inputs as they are', use.scheme))] : [];
        const misplaced = needsOf(place, 'x-needs-output').filter(({ names }) => !names.includes(output)).map((need) => misplacedAt('argument-format', need,
            l10n.t('{0} "{1}" needs the output format {2}, and this recipe\'s is {3}', need.argument, need.place.text, alternatives(need.names), output)));
        return [...findings, ...misplaced];
    });
}

/** Values of arguments that take another scheme. */
export function misplacedArgumentFindings(recipe: Recipe): Finding[] {
    return usePlaces(recipe).flatMap((place): Finding[] => {
        const scheme = childNamed(place, 'scheme');
        const known = (scheme?.slot?.alternatives ?? []).flatMap((alternative) => listedValues(alternative).map(({ value }) => String(value)));
        if (!scheme || !place.shape || !known.includes(scheme.text)) return [];
        return needsOf(place, 'x-needs-scheme').filter(({ names }) => !names.includes(scheme.text)).map((need) => misplacedAt('argument-scheme', need,
            l10n.t('{0} "{1}" needs the scheme {2}, and this one is {3}', need.argument, need.place.text, alternatives(need.names.filter((name) => known.includes(name))), scheme.text)));
    });
}

function misplacedAt(code: 'argument-format' | 'argument-scheme', { place }: Need, message: string): Finding {
    const usual = place.slot?.default;
    return errorAt(code, place, message, typeof usual === 'string' ? [usual] : []);
}

function alternatives(names: readonly string[]): string {
    return names.reduce((before, name) => l10n.t('{0} or {1}', before, name));
}

/** Of each way to quantize the first layer whose shape the output's format cannot hold. */
export function unstorableLayerFindings(recipe: Recipe, decisions: Decisions, wrong: WrongPlaces): Finding[] {
    const output = writtenFormat(recipe, wrong);
    if (output === undefined || output === 'compressed-tensors') return [];
    const blocks = decisions.header.linears.filter(({ block }) => block !== null);
    const deciders = ['default' as const, ...rulePlaces(recipe).keys()];
    const uses: [Place | undefined, readonly Linear[]][] = [
        ...decisions.candidatePlaces.map((place): [Place, Linear[]] => [place, blocks]),
        ...deciders.map((decider): [Place | undefined, readonly Linear[]] => [decisions.placeOf(decider), decisions.layers.get(decider) ?? []]),
    ];
    return uses.flatMap(([place, layers]): Finding[] => {
        const use = place && wrong.isWhollyRight(place) ? readUse(recipe, place) : undefined;
        if (!place || !use?.format?.outputs.includes(output)) return [];
        const bits = use.format.num_bits;
        const layer = layers.find((linear) => layerRefusal(linear, bits) !== undefined);
        return layer ? [errorAt('output-format', schemePlace(place), l10n.t('{0} cannot be stored in GPTQ\'s format: {1}', layer.name, layerRefusal(layer, bits) ?? ''))] : [];
    });
}

function layerRefusal({ inputs, outputs }: Linear, bits: number): string | undefined {
    if (inputs % 32 !== 0) return l10n.t('GPTQ packs 32 inputs at a time, and 32 does not divide the layer\'s {0}', inputs);
    if ((outputs * bits) % 32 === 0) return undefined;
    return l10n.t('GPTQ packs the zero points of all outputs into whole 32-bit words, and {0} of {1} bits are none', outputs, bits);
}

/** undefined: what is written is wrong. */
function writtenFormat(recipe: Recipe, wrong: WrongPlaces): string | undefined {
    const place = placeAt(recipe.root, ['output_format']);
    return place && !wrong.isRight(place) ? undefined : outputFormat(recipe);
}

/** Where a way to quantize names its scheme. */
function schemePlace(place: Place): Place {
    return childNamed(place, 'scheme') ?? place;
}
