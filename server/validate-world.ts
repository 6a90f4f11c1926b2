import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import type { CheckpointHeader } from '../protocol/checkpoint';
import { Decisions } from './decisions';
import { numberedOutputs, placesWithFormat, type Facts, type FileFact } from './facts';
import { errorAt, type Finding, type Related, type WrongPlaces } from './finding';
import { usePlaces } from './layers';
import { placeAt, type Place, type Recipe } from './recipe';
import { readUse } from './uses';
import { budgetFindings } from './validate-budget';
import { dataFindings, shortFindings } from './validate-data';
import { diskFindings } from './validate-disk';
import { expertFindings } from './validate-experts';
import { fusedFindings } from './validate-fused';
import { unstorableLayerFindings } from './validate-output';
import { nothingFindings, ruleFindings } from './validate-rules';
import { groupSizeFindings } from './validate-sizes';

/** What the disk says against a recipe: checkpoint, data, output. Nothing is said about what is not known yet, or about values that are wrong themselves. */
export function worldFindings(recipe: Recipe, facts: Facts, wrong: WrongPlaces): Finding[] {
    const right = (format: string): Place[] => placesWithFormat(recipe, format).filter((place) => wrong.isRight(place));
    const model = right('checkpoint')[0];
    const { finding, header } = model ? checkModel(recipe, model, facts) : {};
    const output = right('output').flatMap((place) => outputFindings(place, model, facts));
    return [
        ...(finding ? [finding] : []),
        ...right('path').flatMap((place) => dataFindings(place, facts)),
        ...output,
        ...(model && header ? [...tokenizerFindings(recipe, model, facts), ...layerFindings(recipe, header, facts, wrong, output.length === 0)] : []),
    ];
}

/** What the checkpoint's layers say against a recipe. */
function layerFindings(recipe: Recipe, header: CheckpointHeader, facts: Facts, wrong: WrongPlaces, isOutputFree: boolean): Finding[] {
    const decisions = new Decisions(recipe, header, wrong);
    return [
        ...sequenceFindings(recipe, header, wrong),
        ...shortFindings(recipe, header, facts, wrong),
        ...ruleFindings(recipe, header, wrong),
        ...nothingFindings(recipe, decisions),
        ...groupSizeFindings(recipe, decisions, wrong),
        ...unstorableLayerFindings(recipe, decisions, wrong),
        ...expertFindings(recipe, decisions, wrong),
        ...dtypeFindings(recipe, header, wrong),
        ...fusedFindings(recipe, decisions),
        ...budgetFindings(recipe, decisions, wrong),
        ...(isOutputFree ? diskFindings(recipe, decisions, facts, wrong) : []),
    ];
}

/** What is wrong with the checkpoint, or its header when a run could use it. */
function checkModel(recipe: Recipe, place: Place, facts: Facts): { finding?: Finding; header?: CheckpointHeader } {
    const fact = facts.checkpoints.get(place.text);
    if (!fact) return {};
    if (fact.state === 'refused') {
        const sentences = {
            'model-missing': l10n.t('no checkpoint at "{0}": {1}', place.text, fact.message),
            'model-broken': fact.message.replaceAll(fact.folder, place.text),
            'model-not-safetensors': l10n.t(
                '"{0}" has only pickle weights ({1}); they can execute code when loaded and are refused: convert them to safetensors', place.text, fact.message,
            ),
        };
        return { finding: errorAt(fact.code, place, sentences[fact.code]) };
    }
    const { header } = fact;
    const supported = Object.keys(recipe.schema.architectures);
    // Others may work all the same: the engine reads their layers from the names, as the header's reader does, and compares.
    if (supported.length > 0 && !supported.includes(header.architecture) && header.linears.length === 0) {
        const message = l10n.t('architecture "{0}" is not supported; supported: {1}', header.architecture, supported.join(', '));
        return { finding: { ...errorAt('model-unsupported', place, message), related: [said(header, `architectures: ${header.architecture}`)] } };
    }
    if (header.quantization === null) return { header };
    const message = l10n.t('"{0}" is already quantized ({1})', place.text, header.quantization);
    return { finding: { ...errorAt('model-quantized', place, message), related: [said(header, `quantization_config: ${header.quantization}`)] } };
}

/** The checkpoint's own words, which contradict the recipe. */
function said({ folder }: CheckpointHeader, message: string): Related {
    return { file: path.join(folder, 'config.json'), message };
}

function tokenizerFindings(recipe: Recipe, model: Place, facts: Facts): Finding[] {
    const fact = facts.checkpoints.get(model.text);
    const hasTexts = ['calibration', 'evaluate'].some((section) => (placeAt(recipe.root, [section])?.kind ?? 'nothing') !== 'nothing');
    const isMissing = fact?.state === 'read' && fact.hasTokenizer === false;
    return hasTexts && isMissing ? [errorAt('tokenizer', model, l10n.t('"{0}" has no tokenizer', model.text))] : [];
}

/** Schemes whose weights are bfloat16 once they are loaded, for a checkpoint of another dtype. */
function dtypeFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    if (header.dtype === 'bfloat16') return [];
    return usePlaces(recipe).flatMap((place): Finding[] => {
        const use = wrong.isWhollyRight(place) ? readUse(recipe, place) : undefined;
        if (!use?.format || use.format.scale_bits === null) return [];
        const message = l10n.t('{0} loads as bfloat16 and the model\'s dtype is {1}: transformers runs it with dtype=torch.bfloat16 alone', use.scheme, header.dtype);
        return [{ ...errorAt('bfloat16-only', place, message), severity: 'warning' }];
    });
}

function outputFindings(place: Place, model: Place | undefined, facts: Facts): Finding[] {
    const fact = facts.files.get(place.text);
    const source = model && facts.files.get(model.text);
    const modelPath = source?.realPath;
    if (fact && fact.kind !== 'missing' && modelPath === fact.realPath) return [errorAt('output-is-model', place, l10n.t('the output is the checkpoint itself'))];
    if (fact && modelPath !== undefined && source?.kind === 'folder' && fact.realPath.startsWith(modelPath + path.sep)) {
        return [errorAt('output-is-model', place, l10n.t('the output lies inside the checkpoint'))];
    }
    if (/^runs(\/|$)/.test(path.posix.normalize(place.text))) return [errorAt('output-unwritable', place, l10n.t('"{0}" cannot be made: run directories are kept there', place.text))];
    if (fact?.blocked) return [errorAt('output-unwritable', place, blockedSentence(place.text, fact.blocked))];
    if (!fact || (fact.kind === 'missing' && !fact.dangling)) return [];
    const free = numberedOutputs(place.text).find((text) => facts.files.get(text)?.kind === 'missing');
    const finding = errorAt('output-exists', place, l10n.t('"{0}" exists already; choose another folder or remove it', place.text), free ? [free] : []);
    // After a run that went well, or while it still evaluates, this is how things are and no mistake of the recipe.
    const own = [facts.result?.result.output, facts.running?.output];
    return [own.includes(fact.realPath) ? { ...finding, severity: 'information' } : finding];
}

function blockedSentence(output: string, { parent, reason }: NonNullable<FileFact['blocked']>): string {
    return reason === 'is not a folder'
        ? l10n.t('"{0}" cannot be made: "{1}" is not a folder', output, parent)
        : l10n.t('"{0}" cannot be made: "{1}" cannot be written', output, parent);
}

function sequenceFindings(recipe: Recipe, header: CheckpointHeader, wrong: WrongPlaces): Finding[] {
    const maximum = header.maximumTokens;
    if (maximum === null) return [];
    return ['calibration', 'evaluate'].flatMap((section) => {
        const place = placeAt(recipe.root, [section, 'sequence_length']);
        if (place?.kind !== 'integer' || Number(place.value) <= maximum || !wrong.isRight(place)) return [];
        const message = l10n.t('{0} is above the model\'s maximum of {1} tokens', Number(place.value), maximum);
        return [{ ...errorAt('sequence-too-long', place, message, [String(maximum)]), related: [said(header, `max_position_embeddings: ${maximum}`)] }];
    });
}
