import type { Finding } from './finding';
import { childNamed, placeAt, type Place } from './recipe';
import { isWhole, type Sound } from './sound';

/** Whether a finding about the sound part of a text stays true whatever the rest says. */
export function isCertain(finding: Finding, sound: Sound): boolean {
    if (sound.lost.length === 0) return true;
    const { code, path } = finding;
    const { root } = sound.recipe;
    const isWholeAt = (place: Place | undefined): boolean => place !== undefined && isWhole(sound, place);
    const isWholeSection = (name: string): boolean => isWholeAt(childNamed(root, name));
    switch (code) {
        case 'missing-key':
            return isWholeAt(finding.missing?.owner);
        // A section, a budget's objective, or what makes a run need more or less room may be what was left out.
        case 'calibration-missing':
        case 'disk-space':
        case 'tokenizer':
            return isWholeAt(root);
        case 'data-short':
            return isWholeSection(String(path?.[0]));
        case 'wrong-type':
            return isMeant(path && placeAt(root, path), isWholeAt);
        // What is left out may be another group size, or a rule that takes the layer.
        case 'group-size':
            return path?.[0] === 'candidates' ? isWholeAt(placeAt(root, path.slice(0, 2))) : isWholeSection('quantize');
        // So may be the format itself.
        case 'output-format':
        case 'argument-format':
            return childNamed(root, 'output_format') !== undefined && (path?.[0] === 'candidates' ? isWholeAt(placeAt(root, path.slice(0, 2))) : isWholeSection('quantize'));
        case 'rule-shadowed':
        case 'layers-repeated':
        case 'experts-mixed':
        case 'nothing-to-quantize':
            return isWholeSection('quantize');
        // Which number a candidate has, and what else it says.
        case 'duplicate-candidate':
            return isWholeSection('candidates');
        case 'fused-layers':
        case 'budget-unreachable':
        case 'budget-idle':
            return isWholeSection('quantize') && (isWholeSection('candidates') || !placeAt(root, ['quantize', 'budget']));
        default:
            return true;
    }
}

/** Nothing may be the beginning of what was left out, a word where a mapping belongs a key that is being typed, and a bracket what is wrong itself. */
function isMeant(place: Place | undefined, isWholeAt: (place: Place) => boolean): boolean {
    if (!place) return true;
    const isWord = place.kind === 'text' && !place.quoted && place.slot?.alternatives.some(({ kind }) => kind === 'mapping');
    return !(place.kind === 'nothing' || isWord || place.flow) || isWholeAt(place);
}
