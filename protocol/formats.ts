/** How the weights of a linear layer are stored. */
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
    /** Bits of the layer's rounded inputs; null: they stay as they are. */
    readonly inputs: number | null;
    /** Stored in GPTQ's layout: float16 scales, zero points in any case, and the group of each input in 32 bits. */
    readonly is_gptq?: boolean;
}

/** A scheme, as `x-schemes` of the recipe's schema says it. */
export interface SchemeFormat extends WeightFormat {
    /** What has to divide the input width, for weights or inputs. */
    readonly divides: number | null;
    /** Whether a recipe may choose the group size. */
    readonly regroupable: boolean;
    /** Formats of a checkpoint that can store it. */
    readonly outputs: readonly string[];
    /** Whether it stores a scale of a layer's inputs, which calibration data give. */
    readonly calibrated_inputs: boolean;
}

/** Stored bits for each weight of a layer (outputs × inputs): codes, scales and, when asymmetric, zero points. */
export function bitsPerWeight(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number, modelScaleBits = 16): number {
    if (format.is_gptq) return (8 * gptqBytes(format, groupSize, outputs, inputs)) / (outputs * inputs);
    const overhead = (format.scale_bits ?? modelScaleBits) + (format.symmetric ? 0 : format.num_bits);
    return format.num_bits + (overhead * scales(format, groupSize, outputs, inputs) + factorBits(format)) / (outputs * inputs);
}

/** Bytes of all tensors that stand for a layer's weight (outputs × inputs) in the written checkpoint, with a stored scale of its inputs. */
export function storedBytes(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number, scaleBytes: number): number {
    if (format.is_gptq) return gptqBytes(format, groupSize, outputs, inputs);
    const count = scales(format, groupSize, outputs, inputs);
    const { num_bits: bits } = format;
    // Rounded inputs have a factor of their own beside that of the weights.
    const factors = factorBits(format) * (format.inputs === null ? 1 : 2);
    if (format.scale_bits !== null) return Math.floor((outputs * inputs * bits) / 8) + (count * format.scale_bits + factors) / 8;
    // Inputs that are rounded at run time meet one number for each weight in memory; one scale for all inputs is stored beside the weight's.
    if (format.inputs !== null) return outputs * inputs + (count + (format.per_tensor ? 1 : 0)) * scaleBytes;
    // Packed into 32-bit words; the shape of the matrix is written beside them as two 64-bit numbers.
    const zeros = format.symmetric ? 0 : (4 * Math.ceil((outputs * bits) / 32) * count) / outputs;
    return 4 * outputs * Math.ceil((inputs * bits) / 32) + count * scaleBytes + zeros + 16;
}

function gptqBytes(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number): number {
    return (outputs * inputs * format.num_bits + scales(format, groupSize, outputs, inputs) * (16 + format.num_bits)) / 8 + 4 * inputs;
}

function scales(format: WeightFormat, groupSize: number | null, outputs: number, inputs: number): number {
    if (format.per_tensor) return 1;
    if (format.block) return Math.ceil(outputs / format.block[0]) * Math.ceil(inputs / format.block[1]);
    return outputs * (groupSize === null ? 1 : Math.floor(inputs / groupSize));
}

/** NVFP4 has E4M3 scales for groups of 16 and a float32 factor for the matrix above them; the powers of two of MX formats, for 32, need none. */
function factorBits(format: WeightFormat): number {
    return format.scale_bits !== null && format.group_size === 16 ? 32 : 0;
}
