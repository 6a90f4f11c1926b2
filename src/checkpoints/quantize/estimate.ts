import type { CheckpointHeader } from '../../../protocol/checkpoint';
import type { WeightFormat } from './schemaChoices';

const SCALE_BITS = 16;
/** The group sizes that a short form can name, large first. */
const GROUP_SIZES = [256, 128, 64, 32];

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
 * next smaller size that does, else `-channel`.
 */
export function fittingSuffix(format: WeightFormat, header: CheckpointHeader): string {
    const { groupSize } = format;
    const fits = (size: number): boolean => targets(header).every(({ inputs }) => inputs % size === 0);
    if (groupSize === null || fits(groupSize)) return '';
    const smaller = GROUP_SIZES.find((size) => size < groupSize && fits(size));
    return smaller === undefined ? '-channel' : `-g${smaller}`;
}

/** The format with the group size that a suffix of `fittingSuffix` names. */
export function withSuffix(format: WeightFormat, suffix: string): WeightFormat {
    if (suffix === '') return format;
    return { ...format, groupSize: suffix === '-channel' ? null : Number(suffix.slice(2)) };
}

/** Average stored bits of the quantized layers' weights, scales and zero points included, and the size of the whole checkpoint. */
export function estimate(format: WeightFormat, header: CheckpointHeader): Estimate {
    const overhead = SCALE_BITS + (format.symmetric ? 0 : format.bits);
    let weights = 0;
    let bits = 0;
    for (const { outputs, inputs } of targets(header)) {
        const groups = format.groupSize === null ? 1 : inputs / format.groupSize;
        weights += outputs * inputs;
        bits += outputs * (inputs * format.bits + groups * overhead);
    }
    const otherBytes = header.bytes - (weights * header.bytes) / header.parameters;
    return { bitsPerWeight: weights === 0 ? 16 : bits / weights, bytes: otherBytes + bits / 8 };
}
