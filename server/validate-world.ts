import * as path from 'node:path';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { Decisions } from './decisions';
import { numberedOutputs, placesWithFormat, type Facts } from './facts';
import { errorAt, type Finding, type WrongPlaces } from './finding';
import { placeAt, type Place, type Recipe } from './recipe';
import { budgetFindings } from './validate-budget';
import { fusedFindings } from './validate-fused';
import { unstorableLayerFindings } from './validate-output';
import { nothingFindings, ruleFindings } from './validate-rules';
import { groupSizeFindings } from './validate-sizes';

/** What the disk says against a recipe: checkpoint, data, output. Nothing is said about what is not known yet, or about values that are wrong themselves. */
export function worldFindings(recipe: Recipe, facts: Facts, wrong: WrongPlaces): Finding[] {
    const right = (format: string): Place[] => placesWithFormat(recipe, format).filter((place) => wrong.isRight(place));
    const model = right('checkpoint')[0];
    const { finding, header } = model ? checkModel(recipe, model, facts) : {};
    return [
        ...(finding ? [finding] : []),
        ...right('path').flatMap((place) => dataFindings(place, facts)),
        ...right('output').flatMap((place) => outputFindings(place, model, facts)),
        ...(header ? layerFindings(recipe, header, wrong) : []),
    ];
}

/** What the checkpoint's layers say against a recipe. */
function layerFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const decisions = new Decisions(recipe, header, wrong);
    return [
        ...sequenceFindings(recipe, header, wrong),
        ...ruleFindings(recipe, header, wrong),
        ...nothingFindings(recipe, decisions),
        ...groupSizeFindings(recipe, decisions, wrong),
        ...unstorableLayerFindings(recipe, decisions, wrong),
        ...fusedFindings(recipe, decisions),
        ...budgetFindings(recipe, decisions, wrong),
    ];
}

/** What is wrong with the checkpoint, or its header when a run could use it. */
function checkModel(recipe: Recipe, place: Place, facts: Facts): { finding?: Finding; header?: CheckpointHeader } {
    const fact = facts.checkpoints.get(place.text);
    if (!fact) return {};
    if (fact.state === 'refused') {
        const sentences = {
            'model-missing': `no checkpoint at "${place.text}": ${fact.message}`,
            'model-broken': fact.message.replaceAll(fact.folder, place.text),
            'model-not-safetensors':
                `"${place.text}" has only pickle weights (${fact.message}); they can execute code when loaded and are refused: convert them to safetensors`,
        };
        return { finding: errorAt(fact.code, place, sentences[fact.code]) };
    }
    const { header } = fact;
    const supported = Object.keys(recipe.schema.architectures);
    // Others may work all the same: the engine reads their layers from the names, as the header's reader does, and compares.
    if (supported.length > 0 && !supported.includes(header.architecture) && header.linears.length === 0) {
        const message = `architecture "${header.architecture}" is not supported; supported: ${supported.join(', ')}`;
        return { finding: errorAt('model-unsupported', place, message) };
    }
    if (header.quantization === null) return { header };
    return { finding: errorAt('model-quantized', place, `"${place.text}" is already quantized (${header.quantization})`) };
}

function dataFindings(place: Place, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    if (fact && fact.kind !== 'file') return [errorAt('data-missing', place, `no file at "${place.text}"`)];
    if (typeof fact?.text === 'object') return [errorAt('data-broken', place, `"${place.text}" ${fact.text.broken}`)];
    return fact?.text === 'none' ? [errorAt('data-empty', place, `"${place.text}" has no text`)] : [];
}

function outputFindings(place: Place, model: Place | undefined, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    const modelPath = model && facts.files.get(model.text)?.realPath;
    if (fact && modelPath === fact.realPath) return [errorAt('output-is-model', place, 'the output is the checkpoint itself')];
    if (fact && modelPath !== undefined && fact.realPath.startsWith(modelPath + path.sep)) {
        return [errorAt('output-is-model', place, 'the output lies inside the checkpoint')];
    }
    if (/^runs(\/|$)/.test(path.posix.normalize(place.text))) return [errorAt('output-unwritable', place, `"${place.text}" cannot be made: run directories are kept there`)];
    if (fact?.blocked) return [errorAt('output-unwritable', place, `"${place.text}" cannot be made: "${fact.blocked.parent}" ${fact.blocked.reason}`)];
    if (!fact || (fact.kind === 'missing' && !fact.dangling)) return [];
    const free = numberedOutputs(place.text).find((text) => facts.files.get(text)?.kind === 'missing');
    const finding = errorAt('output-exists', place, `"${place.text}" exists already; choose another folder or remove it`, free ? [free] : []);
    // After a run that went well, or while it still evaluates, this is how things are and no mistake of the recipe.
    const own = [facts.result?.result.output, facts.running?.output];
    return [own.includes(fact.realPath) ? { ...finding, severity: 'information' } : finding];
}

function sequenceFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const maximum = header.maximumTokens;
    if (maximum === null) return [];
    return ['calibration', 'evaluate'].flatMap((section) => {
        const place = placeAt(recipe.root, [section, 'sequence_length']);
        if (place?.kind !== 'integer' || Number(place.value) <= maximum || !wrong.isRight(place)) return [];
        const message = `${Number(place.value)} is above the model's maximum of ${maximum} tokens`;
        return [errorAt('sequence-too-long', place, message, [String(maximum)])];
    });
}
