import { readdir, readFile, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { broken, CheckpointError, isRecord, readHeader, type TensorInfo } from './safetensors';

/** A linear layer: weight (outputs × inputs); block null outside the blocks (lm_head). */
export interface Linear {
    readonly name: string;
    readonly block: number | null;
    readonly outputs: number;
    readonly inputs: number;
}

/** What headers and config.json tell of a checkpoint. */
export interface CheckpointHeader {
    readonly folder: string;
    readonly architecture: string;
    readonly dtype: string;
    readonly parameters: number;
    readonly bytes: number;
    readonly blocks: number;
    /** The model's maximum of tokens, when config.json says it. */
    readonly maximumTokens: number | null;
    /** Quantization method, when the checkpoint is already quantized. */
    readonly quantization: string | null;
    /** Linear layers in execution order: those of the blocks, then lm_head unless it shares the embedding's weight. */
    readonly linears: readonly Linear[];
}

const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
const MAX_CONFIG_BYTES = 16_000_000;
const MAX_INDEX_BYTES = 100_000_000;
const MAX_SHARDS = 10_000;
const READS_AT_ONCE = 8;
const BLOCK_WEIGHT = /^(model\.layers\.(\d+)\..+)\.weight$/;
/** Execution order inside a block. */
const KINDS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Reads config.json and the headers of all shards. Throws CheckpointError. */
export async function readCheckpoint(folder: string): Promise<CheckpointHeader> {
    const files = await listFolder(folder);
    if (!files.includes(INDEX) && !files.includes(SINGLE)) throw noWeights(folder, files);
    if (!files.includes('config.json')) throw broken(path.basename(folder), 'it has no config.json');
    const config = await readObject(folder, 'config.json', MAX_CONFIG_BYTES);
    const tensors = files.includes(INDEX) ? await readShards(folder, files) : await readHeader(path.join(folder, SINGLE));
    return describe(folder, config, tensors);
}

/** Changes whenever `readCheckpoint` could answer otherwise; cheap, reads no file. Empty: nothing there. */
export async function checkpointFingerprint(folder: string): Promise<string> {
    try {
        const names = (await readdir(folder)).filter((name) => /\.(safetensors|json|bin|pt|pth)$/.test(name)).sort();
        const stats = await Promise.all(names.map((name) => stat(path.join(folder, name)).catch(() => undefined)));
        return ['folder', ...names.map((name, index) => `${name}:${stats[index]?.size}:${stats[index]?.mtimeMs}`)].join('\n');
    } catch {
        return '';
    }
}

async function listFolder(folder: string): Promise<string[]> {
    try {
        return await readdir(folder);
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        const why = code === 'ENOENT' ? 'the folder does not exist' : code === 'ENOTDIR' ? 'it is a file, not a folder' : String(code);
        throw new CheckpointError('model-missing', why);
    }
}

function noWeights(folder: string, files: readonly string[]): CheckpointError {
    const pickle = files.filter((name) => /\.(bin|pt|pth|ckpt)$/.test(name)).sort()[0];
    if (pickle !== undefined) return new CheckpointError('model-not-safetensors', pickle);
    return broken(path.basename(folder), `it has neither ${SINGLE} nor ${INDEX}`);
}

async function readObject(folder: string, name: string, limit: number): Promise<Record<string, unknown>> {
    const file = path.join(folder, name);
    const { size } = await stat(file);
    if (size > limit) throw broken(name, `it has ${size} bytes, more than ${limit}`);
    try {
        const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
        if (isRecord(parsed)) return parsed;
    } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        throw broken(name, 'it is not JSON');
    }
    throw broken(name, 'it is not a JSON object');
}

async function readShards(folder: string, files: readonly string[]): Promise<TensorInfo[]> {
    const index = await readObject(folder, INDEX, MAX_INDEX_BYTES);
    if (!isRecord(index.weight_map)) throw broken(INDEX, 'it has no weight_map');
    const places = new Map<string, string>();
    for (const [tensor, file] of Object.entries(index.weight_map)) places.set(tensor, checkShardName(file));
    const shards = [...new Set(places.values())];
    if (shards.length > MAX_SHARDS) throw broken(INDEX, `it names ${shards.length} files, more than ${MAX_SHARDS}`);
    const missing = shards.find((name) => !files.includes(name));
    if (missing !== undefined) throw broken(INDEX, `it names ${JSON.stringify(missing)}, which does not exist`);
    const headers = await readAll(shards.map((name) => path.join(folder, name)));
    const found = new Map<string, TensorInfo>();
    headers.forEach((tensors, shard) => {
        for (const tensor of tensors) if (places.get(tensor.name) === shards[shard]) found.set(tensor.name, tensor);
    });
    for (const [tensor, file] of places) {
        if (!found.has(tensor)) throw broken(INDEX, `it places ${JSON.stringify(tensor)} in ${file}, which does not have it`);
    }
    return [...found.values()];
}

/** Shards lie in the folder itself; anything else could name a file elsewhere on the disk. */
function checkShardName(name: unknown): string {
    if (typeof name !== 'string' || !name.endsWith('.safetensors') || /[/\\\0]/.test(name) || name.startsWith('..')) {
        throw broken(INDEX, `it names ${JSON.stringify(name)}, which is not a safetensors file of this folder`);
    }
    return name;
}

async function readAll(files: readonly string[]): Promise<TensorInfo[][]> {
    const results: TensorInfo[][] = [];
    for (let start = 0; start < files.length; start += READS_AT_ONCE) {
        results.push(...(await Promise.all(files.slice(start, start + READS_AT_ONCE).map(readHeader))));
    }
    return results;
}

function describe(folder: string, config: Record<string, unknown>, tensors: readonly TensorInfo[]): CheckpointHeader {
    const architectures = config.architectures;
    const first: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
    const linears = listLinears(tensors, config.tie_word_embeddings === true);
    const maximum = config.max_position_embeddings;
    const quantization = config.quantization_config;
    const method = isRecord(quantization) ? quantization.quant_method : undefined;
    return {
        folder,
        architecture: typeof first === 'string' ? first : '',
        dtype: computeDtype(config, tensors),
        parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
        bytes: tensors.reduce((sum, { begin, end }) => sum + end - begin, 0),
        blocks: new Set(linears.flatMap(({ block }) => (block === null ? [] : [block]))).size,
        maximumTokens: typeof maximum === 'number' && Number.isSafeInteger(maximum) && maximum > 0 ? maximum : null,
        quantization: isRecord(quantization) ? (typeof method === 'string' ? method : 'unknown method') : null,
        linears,
    };
}

function listLinears(tensors: readonly TensorInfo[], tied: boolean): Linear[] {
    const linears: Linear[] = [];
    for (const { name, shape } of tensors) {
        const [outputs, inputs, ...more] = shape;
        if (outputs === undefined || inputs === undefined || more.length > 0) continue;
        const match = BLOCK_WEIGHT.exec(name);
        if (match?.[1] !== undefined) linears.push({ name: match[1], block: Number(match[2]), outputs, inputs });
        else if (name === 'lm_head.weight' && !tied) linears.push({ name: 'lm_head', block: null, outputs, inputs });
    }
    return linears.sort(inExecutionOrder);
}

function inExecutionOrder(a: Linear, b: Linear): number {
    const rank = ({ name }: Linear): number => {
        const index = KINDS.indexOf(name.slice(name.lastIndexOf('.') + 1));
        return index < 0 ? KINDS.length : index;
    };
    return (a.block ?? Infinity) - (b.block ?? Infinity) || rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

/** The dtype the model computes in: the config's word, else that of most bytes. */
function computeDtype(config: Record<string, unknown>, tensors: readonly TensorInfo[]): string {
    const said = config.dtype ?? config.torch_dtype;
    if (typeof said === 'string') return said;
    const bytes = new Map<string, number>();
    for (const { dtype, begin, end } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + end - begin);
    return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}
