import * as path from 'node:path';
import type { CheckpointHeader, Linear } from '../protocol/checkpoint';
import { modelHeader, placesWithFormat, type Facts } from './facts';
import type { Finding } from './finding';
import { decidedLayers, matchingLayers, nearestPattern, patternPlaces, rulePlaces } from './layers';
import { listed } from './nearest';
import { childNamed, placeAt, type Place, type Recipe } from './recipe';
import { readUse } from './uses';

/** What the disk says against a recipe: checkpoint, data, output. Nothing is said about what is not known yet. */
export function worldFindings(recipe: Recipe, facts: Facts): Finding[] {
    const header = modelHeader(recipe, facts);
    return [
        ...placesWithFormat(recipe, 'checkpoint').flatMap((place) => checkpointFindings(recipe, place, facts)),
        ...placesWithFormat(recipe, 'path').flatMap((place) => dataFindings(place, facts)),
        ...placesWithFormat(recipe, 'output').flatMap((place) => outputFindings(recipe, place, facts)),
        ...(header ? [...sequenceFindings(recipe, header), ...patternFindings(recipe, header), ...groupSizeFindings(recipe, header)] : []),
    ];
}

function error(code: Finding['code'], place: Place, message: string, replacements: readonly string[] = []): Finding {
    return { code, severity: 'error', span: place.span, message, replacements };
}

function checkpointFindings(recipe: Recipe, place: Place, facts: Facts): Finding[] {
    const fact = facts.checkpoints.get(place.text);
    if (!fact) return [];
    if (fact.state === 'read') return modelFindings(recipe, place, fact.header);
    const sentences = {
        'model-missing': `no checkpoint at "${place.text}": ${fact.message}`,
        'model-broken': fact.message,
        'model-not-safetensors':
            `"${place.text}" has only pickle weights (${fact.message}); they can execute code when loaded and are refused: convert them to safetensors`,
    };
    return [error(fact.code, place, sentences[fact.code])];
}

function modelFindings(recipe: Recipe, place: Place, header: CheckpointHeader): Finding[] {
    const { architectures } = recipe.schema;
    if (header.quantization !== null) return [error('model-quantized', place, `"${place.text}" is already quantized (${header.quantization})`)];
    if (!architectures || architectures.includes(header.architecture)) return [];
    return [error('model-unsupported', place, `architecture "${header.architecture}" is not supported; supported: ${listed(architectures)}`)];
}

function dataFindings(place: Place, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    if (fact && fact.kind !== 'file') return [error('data-missing', place, `no file at "${place.text}"`)];
    return fact?.hasText === false ? [error('data-empty', place, `"${place.text}" has no text`)] : [];
}

function outputFindings(recipe: Recipe, place: Place, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    const model = placesWithFormat(recipe, 'checkpoint')[0];
    if (!fact || fact.kind === 'missing') return [];
    if (model && facts.files.get(model.text)?.realPath === fact.realPath) return [error('output-is-model', place, 'the output is the checkpoint itself')];
    return [error('output-exists', place, `"${place.text}" exists already; choose another folder or remove it`)];
}

function sequenceFindings(recipe: Recipe, header: CheckpointHeader): Finding[] {
    const maximum = header.maximumTokens;
    if (maximum === null) return [];
    return ['calibration', 'evaluate'].flatMap((section) => {
        const place = placeAt(recipe.root, [section, 'sequence_length']);
        if (place?.kind !== 'integer' || Number(place.value) <= maximum) return [];
        const message = `${place.text} is above the model's maximum of ${maximum} tokens`;
        return [error('sequence-too-long', place, message, [String(maximum)])];
    });
}

function patternFindings(recipe: Recipe, header: CheckpointHeader): Finding[] {
    if (header.linears.length === 0) return [];
    const model = path.basename(placesWithFormat(recipe, 'checkpoint')[0]?.text ?? '');
    return rulePlaces(recipe).flatMap(patternPlaces).flatMap((place): Finding[] => {
        if (place.text === '' || matchingLayers(header, place.text).length > 0) return [];
        const near = nearestPattern(header, place.text);
        const message = `"${place.text}" matches no layer of ${model}` + (near === undefined ? '' : `; did you mean "${near}"?`);
        return [{ code: 'no-layer-matches', severity: 'warning', span: place.span, message, replacements: near === undefined ? [] : [near] }];
    });
}

function groupSizeFindings(recipe: Recipe, header: CheckpointHeader): Finding[] {
    const blocks = header.linears.filter(({ block }) => block !== null);
    const decided = decidedLayers(recipe, header);
    const candidates = placeAt(recipe.root, ['candidates'])?.children ?? [];
    const uses: [Place | undefined, readonly Linear[]][] = [
        ...candidates.map((place): [Place, Linear[]] => [place, blocks]),
        [placeAt(recipe.root, ['quantize', 'default']), decided.get('default') ?? []],
        ...rulePlaces(recipe).map((rule, index): [Place | undefined, Linear[]] => [childNamed(rule, 'use'), decided.get(index) ?? []]),
    ];
    return uses.flatMap(([place, layers]) => {
        const use = readUse(recipe, place);
        const size = use?.groupSize;
        if (!use || !size) return [];
        const layer = layers.find(({ inputs }) => inputs % size !== 0);
        if (!layer) return [];
        const sizes = divisors(layer.inputs);
        const message = `group size ${size} does not divide the input width ${layer.inputs} of ${layer.name}; divisors: ${listed(sizes.map(String))}`;
        return [{ ...error('group-size', use.sizePlace, message), replacements: sizeSpellings(use.sizePlace, fitting(sizes, layers)) }];
    });
}

const SMALLEST_GROUP = 8;
const LARGEST_LISTED = 256;

/** Group sizes that divide a width, ascending; the width itself when no usual one does. */
function divisors(width: number): number[] {
    const found = [];
    for (let size = SMALLEST_GROUP; size <= LARGEST_LISTED; size++) if (width % size === 0) found.push(size);
    return found.length > 0 ? found : [width];
}

/** Sizes that suit every layer concerned, nearest to the usual ones first: the largest. */
function fitting(sizes: readonly number[], layers: readonly Linear[]): number[] {
    return sizes.filter((size) => layers.every(({ inputs }) => inputs % size === 0)).reverse();
}

/** What to write at the place that sets the size; nothing where the size is only the scheme's default. */
function sizeSpellings(place: Place, sizes: readonly number[]): string[] {
    if (place.key?.name === 'group_size') return [...sizes.map(String), 'channel'];
    if (place.key?.name === 'scheme' && place.parent?.kind === 'mapping') return [];
    const base = place.text.replace(/-(g\d+|channel)$/, '');
    const spellings = [...sizes.map((size) => `${base}-g${size}`), `${base}-channel`];
    return spellings.filter((text) => place.slot?.alternatives.some(({ schema }) => schema.pattern !== undefined && new RegExp(schema.pattern, 'u').test(text)));
}
