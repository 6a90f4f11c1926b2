/** How the weights of a linear layer are stored, as `x-schemes` of the recipe's schema says it. */
export interface WeightFormat {
    /** Stored for each weight. */
    readonly num_bits: number;
    readonly symmetric: boolean;
    /** Inputs that share a scale; null: none do. */
    readonly group_size: number | null;
    /** Bits of a scale; null: those of the model's dtype. */
    readonly scale_bits: number | null;
    /** Rows and columns that share a scale, in place of groups. */
    readonly block: readonly [number, number] | null;
    /** One scale for the whole matrix. */
    readonly per_tensor: boolean;
}

/** Stored bits for each weight of a layer (outputs × inputs): codes, scales and, when asymmetric, zero points. */
export function bitsPerWeight(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number, modelScaleBits = 16): number {
    const overhead = (format.scale_bits ?? modelScaleBits) + (format.symmetric ? 0 : format.num_bits);
    return format.num_bits + (overhead * scales(format, groupSize, outputs, inputs)) / (outputs * inputs);
}

function scales(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number): number {
    if (format.per_tensor) return 1;
    if (format.block) return Math.ceil(outputs / format.block[0]) * Math.ceil(inputs / format.block[1]);
    return outputs * (groupSize === null ? 1 : inputs / groupSize);
}
