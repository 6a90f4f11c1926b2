import { open, stat } from 'node:fs/promises';
import * as l10n from '@vscode/l10n';
import { eachEntry, NoObject } from './json-entries';
import { Turns } from './turns';

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
    // Opening a pipe would wait for somebody to write.
    if (!(await stat(file)).isFile()) throw broken(file, l10n.t('it is not a file'));
    const handle = await open(file, 'r');
    try {
        const { size } = await handle.stat();
        if (size < 8) throw broken(file, l10n.t('it has {0} bytes, too few for a safetensors header', size));
        const length = await readLength(handle, file, size);
        const header = Buffer.alloc(length);
        const { bytesRead } = await handle.read(header, 0, length, 8);
        if (bytesRead < length) throw broken(file, l10n.t('it ended while its header was read'));
        return await parseHeader(header, size - 8 - length, file);
    } finally {
        await handle.close();
    }
}

async function readLength(handle: Awaited<ReturnType<typeof open>>, file: string, size: number): Promise<number> {
    const prefix = Buffer.alloc(8);
    await handle.read(prefix, 0, 8, 0);
    if (prefix.toString('latin1') === 'version ') {
        const { buffer } = await handle.read(Buffer.alloc(15), 0, 15, 8);
        if (buffer.toString('latin1') === 'https://git-lfs') throw broken(file, l10n.t('it is a Git LFS pointer, not the weights; git lfs pull, in its repository, fetches them'));
    }
    const length = prefix.readBigUInt64LE();
    if (length > BigInt(MAX_HEADER_BYTES)) throw broken(file, l10n.t('its header claims {0} bytes, the limit is {1}', String(length), MAX_HEADER_BYTES));
    if (length > BigInt(size - 8)) throw broken(file, l10n.t('its header claims {0} bytes, the file has {1}', String(length), size));
    return Number(length);
}

/** Checks a header's JSON against the number of data bytes that follow it; tensors come in file order. */
async function parseHeader(header: Uint8Array, dataBytes: number, file: string): Promise<TensorInfo[]> {
    const entries = await headerEntries(header, file);
    const metadata = entries.get('__metadata__') ?? {};
    entries.delete('__metadata__');
    if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
        throw broken(file, l10n.t('its __metadata__ is not a map from text to text'));
    }
    const turns = new Turns();
    const tensors: TensorInfo[] = [];
    for (const [key, value] of entries) {
        tensors.push(parseTensor(key, value, file));
        if (turns.isOver()) await turns.next();
    }
    tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
    checkLayout(tensors, 8 + header.length, dataBytes, file);
    return tensors;
}

/** `JSON.parse` would silently keep the last one of entries with the same key. */
async function headerEntries(header: Uint8Array, file: string): Promise<Map<string, unknown>> {
    const entries = new Map<string, unknown>();
    let twice: string | undefined;
    try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(header);
        await eachEntry(text, (key, value) => {
            if (entries.has(key)) twice ??= key;
            entries.set(key, JSON.parse(value));
        });
    } catch (error) {
        throw broken(file, error instanceof NoObject ? l10n.t('its header is not a JSON object') : l10n.t('its header is not JSON'));
    }
    if (twice !== undefined) throw broken(file, l10n.t('its header has {0} twice', quoted(twice)));
    return entries;
}

function parseTensor(key: string, value: unknown, file: string): TensorInfo {
    const wrong = (what: string): CheckpointError => broken(file, l10n.t('tensor {0} {1}', quoted(key), what));
    if (!isRecord(value) || Object.keys(value).sort().join() !== 'data_offsets,dtype,shape') {
        throw wrong(l10n.t('is not described by dtype, shape and data_offsets'));
    }
    const { dtype, shape, data_offsets: offsets } = value;
    const bits = typeof dtype === 'string' ? DTYPE_BITS.get(dtype) : undefined;
    if (typeof dtype !== 'string' || bits === undefined) throw wrong(l10n.t('has the unknown dtype {0}', quoted(String(dtype))));
    if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw wrong(l10n.t('has a shape that is not a list of sizes'));
    const [begin, end] = isSizes(offsets) && offsets.length === 2 ? offsets : [];
    if (begin === undefined || end === undefined || begin > end) throw wrong(l10n.t('has data_offsets that are not a start and an end'));
    const bitsNeeded = shape.reduce((product, size) => product * size, 1) * bits;
    if (!Number.isSafeInteger(bitsNeeded) || bitsNeeded !== (end - begin) * 8) {
        throw wrong(l10n.t('needs {0} bytes for shape [{1}] of {2} and has {3}', bitsNeeded / 8, shape.join(', '), dtype, end - begin));
    }
    return { name: key, dtype, shape, begin, end };
}

/** The tensors must cover the data without overlap, hole or rest. `start`: where the data begin in the file. */
function checkLayout(tensors: readonly TensorInfo[], start: number, dataBytes: number, file: string): void {
    let position = 0;
    for (const { name, begin, end } of tensors) {
        const places = begin === position ? '' : l10n.t('(starts at byte {0}, expected {1})', start + begin, start + position);
        if (begin < position) throw broken(file, l10n.t('tensor {0} overlaps the tensor before it {1}', quoted(name), places));
        if (begin > position) throw broken(file, l10n.t('tensor {0} leaves a hole before it {1}', quoted(name), places));
        if (end > dataBytes) throw broken(file, l10n.t('tensor {0} ends at byte {1}, the file has {2}', quoted(name), start + end, start + dataBytes));
        position = end;
    }
    if (position < dataBytes) throw broken(file, l10n.t('its tensors end at byte {0} and the file at byte {1}', start + position, start + dataBytes));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
    return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

const LONGEST_NAME = 120;

/** A hostile name must not flood a message. */
function quoted(text: string): string {
    return JSON.stringify(text.length <= LONGEST_NAME ? text : `${text.slice(0, LONGEST_NAME - 3)}…`);
}

/** `file` with its whole path: whoever shows the message puts the user's spelling in its place. */
export function broken(file: string, what: string): CheckpointError {
    return new CheckpointError('model-broken', l10n.t('{0} is broken: {1}', file, what));
}
