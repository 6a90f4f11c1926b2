import { open } from 'node:fs/promises';
import * as path from 'node:path';

/**
 * The header of a safetensors file, read with distrust: every number is checked before anything is allocated. Only the 8-byte length and the
 * JSON header are read, whatever the size of the file.
 */
export interface TensorInfo {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    /** Byte offsets from the end of the header. */
    readonly begin: number;
    readonly end: number;
}

export type CheckpointErrorCode = 'model-missing' | 'model-broken' | 'model-not-safetensors';

/** A checkpoint that cannot be used; `code` is one of docs/diagnostics.md, the message a sentence for the user. */
export class CheckpointError extends Error {
    constructor(
        readonly code: CheckpointErrorCode,
        message: string,
    ) {
        super(message);
    }
}

export const MAX_HEADER_BYTES = 100_000_000;
const MAX_DIMENSIONS = 64;

/** Bits of one element, by safetensors' names. */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
    ['BOOL', 8], ['U8', 8], ['I8', 8], ['U16', 16], ['I16', 16], ['U32', 32], ['I32', 32], ['U64', 64], ['I64', 64],
    ['F16', 16], ['BF16', 16], ['F32', 32], ['F64', 64], ['C64', 64],
    ['F8_E4M3', 8], ['F8_E5M2', 8], ['F8_E8M0', 8], ['F6_E2M3', 6], ['F6_E3M2', 6], ['F4', 4],
]);

/** Reads and checks the header of one file. Throws CheckpointError that names the file and what is wrong. */
export async function readHeader(file: string): Promise<TensorInfo[]> {
    const name = path.basename(file);
    const handle = await open(file, 'r');
    try {
        const { size } = await handle.stat();
        if (size < 8) throw broken(name, `it has ${size} bytes, too few for a header`);
        const length = await readLength(handle, name, size);
        const header = Buffer.alloc(length);
        const { bytesRead } = await handle.read(header, 0, length, 8);
        if (bytesRead < length) throw broken(name, 'it ends inside its header');
        return parseHeader(header, size - 8 - length, name);
    } finally {
        await handle.close();
    }
}

async function readLength(handle: Awaited<ReturnType<typeof open>>, name: string, size: number): Promise<number> {
    const prefix = Buffer.alloc(8);
    await handle.read(prefix, 0, 8, 0);
    const length = prefix.readBigUInt64LE();
    if (length > BigInt(MAX_HEADER_BYTES)) throw broken(name, `its header claims ${length} bytes, more than ${MAX_HEADER_BYTES}`);
    if (length > BigInt(size - 8)) throw broken(name, `its header claims ${length} bytes, but the file has ${size}`);
    return Number(length);
}

/** Checks a header's JSON against the number of data bytes that follow it; tensors come in file order. */
export function parseHeader(header: Uint8Array, dataBytes: number, name: string): TensorInfo[] {
    let parsed: unknown;
    try {
        parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
    } catch {
        throw broken(name, 'its header is not JSON');
    }
    if (!isRecord(parsed)) throw broken(name, 'its header is not a JSON object');
    const tensors = Object.entries(parsed)
        .filter(([key]) => key !== '__metadata__')
        .map(([key, value]) => parseTensor(key, value, name))
        .sort((a, b) => a.begin - b.begin || a.end - b.end);
    checkLayout(tensors, dataBytes, name);
    return tensors;
}

function parseTensor(key: string, value: unknown, name: string): TensorInfo {
    const tensor = `tensor ${JSON.stringify(key)}`;
    if (!isRecord(value)) throw broken(name, `${tensor} is not described by an object`);
    const { dtype, shape, data_offsets: offsets } = value;
    const bits = typeof dtype === 'string' ? DTYPE_BITS.get(dtype) : undefined;
    if (typeof dtype !== 'string' || bits === undefined) throw broken(name, `${tensor} has the unknown dtype ${JSON.stringify(dtype)}`);
    if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw broken(name, `${tensor} has no valid shape`);
    if (!isSizes(offsets) || offsets.length !== 2) throw broken(name, `${tensor} has no valid data_offsets`);
    const [begin, end] = offsets as [number, number];
    if (end < begin) throw broken(name, `${tensor} ends before it begins`);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(elements * bits) || elements * bits !== (end - begin) * 8) {
        throw broken(name, `${tensor} has ${end - begin} bytes, which its shape [${shape.join(', ')}] of ${dtype} does not fill`);
    }
    return { name: key, dtype, shape, begin, end };
}

/** The tensors must cover the data without overlap, hole or rest. */
function checkLayout(tensors: readonly TensorInfo[], dataBytes: number, name: string): void {
    let position = 0;
    for (const tensor of tensors) {
        const label = `tensor ${JSON.stringify(tensor.name)}`;
        if (tensor.begin < position) throw broken(name, `${label} overlaps the one before it`);
        if (tensor.begin > position) throw broken(name, `there is a hole before ${label}`);
        if (tensor.end > dataBytes) throw broken(name, `${label} ends after the end of the file`);
        position = tensor.end;
    }
    if (position < dataBytes) throw broken(name, `${dataBytes - position} bytes at its end belong to no tensor`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
    return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

export function broken(file: string, what: string): CheckpointError {
    return new CheckpointError('model-broken', `${file} is broken: ${what}`);
}
