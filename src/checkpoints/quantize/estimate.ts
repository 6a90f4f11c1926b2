import { isExpert, type CheckpointHeader } from '../../../protocol/checkpoint';
import { bitsPerWeight, type SchemeFormat } from '../../../protocol/formats';
import type { MethodChoice } from './schemaChoices';

export interface Estimate {
    readonly bitsPerWeight: number;
    readonly bytes: number;
}

/** Widths of the layers that a recipe's default applies to. */
function targets(header: CheckpointHeader): CheckpointHeader['linears'] {
    return header.linears.filter(({ block }) => block !== null);
}

/**
 * What to append to a short form so that its group size divides every layer of the checkpoint: empty when the format's own does, else the
 * next smaller of `groupSizes` that does, else `-channel`; undefined when the format has no other group size and does not fit.
 */
export function fittingSuffix(format: SchemeFormat, header: CheckpointHeader, groupSizes: readonly number[]): string | undefined {
    const fits = (size: number): boolean => targets(header).every(({ inputs }) => inputs % size === 0);
    if (format.divides === null || fits(format.divides)) return '';
    if (!format.regroupable || format.group_size === null) return undefined;
    const own = format.group_size;
    const smaller = [...groupSizes].sort((a, b) => b - a).find((size) => size < own && fits(size));
    return smaller === undefined ? '-channel' : `-g${smaller}`;
}

/** A choice that the checkpoint can be stored with, and what its short form needs at its end for that. */
export interface Offer {
    readonly choice: MethodChoice;
    readonly suffix: string;
}

/** The choices that fit every layer, in their order. */
export function offersFor(choices: readonly MethodChoice[], header: CheckpointHeader, groupSizes: readonly number[]): Offer[] {
    // Loaders read experts with symmetric weights and plain inputs only.
    const hasExperts = header.linears.some(isExpert);
    return choices.flatMap((choice): Offer[] => {
        if (hasExperts && choice.format && (choice.format.inputs !== null || !choice.format.symmetric)) return [];
        const suffix = choice.format ? fittingSuffix(choice.format, header, groupSizes) : '';
        return suffix === undefined ? [] : [{ choice, suffix }];
    });
}

/** The format with the group size that a suffix of `fittingSuffix` names. */
export function withSuffix(format: SchemeFormat, suffix: string): SchemeFormat {
    if (suffix === '') return format;
    return { ...format, group_size: suffix === '-channel' ? null : Number(suffix.slice(2)) };
}

/** Average stored bits of the quantized layers' weights, scales and zero points included, and the size of the whole checkpoint. */
export function estimate(format: SchemeFormat, header: CheckpointHeader): Estimate {
    let weights = 0;
    let bits = 0;
    for (const { outputs, inputs } of targets(header)) {
        weights += outputs * inputs;
        bits += outputs * inputs * bitsPerWeight(format, format.group_size, outputs, inputs);
    }
    const otherBytes = header.bytes - (weights * header.bytes) / header.parameters;
    return { bitsPerWeight: weights === 0 ? 16 : bits / weights, bytes: otherBytes + bits / 8 };
}
