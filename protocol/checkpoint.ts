import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import { eachEntry, NoObject } from './json-entries';
import { broken, CheckpointError, isRecord, readHeader, type TensorInfo } from './safetensors';
import { Turns } from './turns';

/** A linear layer: weight (outputs × inputs); block null outside the blocks (lm_head). */
export interface Linear {
    readonly name: string;
    readonly block: number | null;
    readonly outputs: number;
    readonly inputs: number;
    /** Of its weight in the checkpoint. */
    readonly bytes: number;
}

/** Whether it is a layer of an expert: those of a model share one weight format, and their inputs stay as they are (docs/decisions/0010-experts.md). */
export function isExpert({ name }: Linear): boolean {
    return /\.experts\.\d+\./.test(name);
}

/** Where an architecture has its linear layers, in module names; `x-architectures` of the recipe's schema. */
export interface Family {
    readonly blocks: string;
    /** Relative to a block, in execution order; `*` stands for the number of an expert. */
    readonly linears: readonly string[];
    readonly head: string;
    /** Whether the head is the embedding when config.json does not say. */
    readonly tied: boolean;
    /** Of `linears`: those that serving engines run as one matrix. */
    readonly fused: readonly (readonly string[])[];
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
    /** Name of the head when it shares the embedding's weight: then it is no layer of its own. */
    readonly tiedHead: string | null;
    /** Linear layers in execution order: those of the blocks, then lm_head unless it shares the embedding's weight. */
    readonly linears: readonly Linear[];
}

const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
const CONFIG = 'config.json';
const MAX_JSON_BYTES = 100_000_000;
const MAX_SHARDS = 10_000;
const READS_AT_ONCE = 8;
const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;

/** Reads config.json and the headers of all shards. `families` says where the linear layers are. Throws CheckpointError. */
export async function readCheckpoint(folder: string, families: Readonly<Record<string, Family>>): Promise<CheckpointHeader> {
    const files = await listFolder(folder);
    if (!files.includes(INDEX) && !files.includes(SINGLE)) throw noWeights(folder, files);
    if (!files.includes(CONFIG)) throw broken(folder, l10n.t('it has weights and no {0}', CONFIG));
    const config = await readObject(await within(folder, CONFIG));
    const tensors = files.includes(SINGLE) ? await readHeader(await within(folder, SINGLE)) : await readShards(folder, files);
    return await describe(folder, config, tensors, families);
}

/** Changes whenever `readCheckpoint` could answer otherwise; cheap, reads no file. Empty: nothing there. */
export async function checkpointFingerprint(folder: string): Promise<string> {
    try {
        const names = (await readdir(folder)).filter((name) => /\.(safetensors|json)$/.test(name) || PICKLE.test(name)).sort();
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
        if (code === 'ENOENT' || code === 'ENOTDIR') throw new CheckpointError('model-missing', l10n.t('the folder does not exist'));
        throw new CheckpointError('model-broken', l10n.t('cannot read {0}: {1}', folder, String(code)));
    }
}

function noWeights(folder: string, files: readonly string[]): CheckpointError {
    const pickle = files.filter((name) => PICKLE.test(name)).sort()[0];
    if (pickle !== undefined) return new CheckpointError('model-not-safetensors', pickle);
    if (!files.includes(CONFIG)) return new CheckpointError('model-missing', l10n.t('the folder has neither {0} nor safetensors weights', CONFIG));
    return broken(folder, l10n.t('it has neither {0} nor {1}', SINGLE, INDEX));
}

/**
 * A file of the folder; anything else could name a file elsewhere on the disk. A Hugging Face cache folder consists of links into the `blobs`
 * beside its snapshots; exactly these are followed.
 */
async function within(folder: string, name: string): Promise<string> {
    if (name === '' || name === '.' || name === '..' || /[/\\:\0]/.test(name)) {
        throw broken(folder, l10n.t('it names the file {0}; only files of the folder itself are read', JSON.stringify(name.slice(0, 200))));
    }
    const file = path.join(folder, name);
    if (!(await lstat(file)).isSymbolicLink()) return file;
    const target = await realpath(file);
    const home = await realpath(folder);
    const isBlob = path.basename(path.dirname(home)) === 'snapshots' && path.dirname(target) === path.join(home, '..', '..', 'blobs');
    if (path.dirname(target) !== home && !isBlob) throw broken(file, l10n.t('it is a link to "{0}", outside the folder', target));
    return file;
}

async function readText(file: string): Promise<string> {
    const { size } = await stat(file);
    if (size > MAX_JSON_BYTES) throw broken(file, l10n.t('it has more than {0} bytes', MAX_JSON_BYTES));
    return readFile(file, 'utf8');
}

async function readObject(file: string): Promise<Record<string, unknown>> {
    let parsed: unknown;
    try {
        parsed = JSON.parse(await readText(file));
    } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        throw broken(file, l10n.t('it is not JSON'));
    }
    if (!isRecord(parsed)) throw broken(file, l10n.t('it is not a JSON object'));
    return parsed;
}

async function readShards(folder: string, files: readonly string[]): Promise<TensorInfo[]> {
    const index = path.join(folder, INDEX);
    const promised = new Map<string, string[]>();
    const turns = new Turns();
    for (const [tensor, shard] of await readWeightMap(await within(folder, INDEX), index)) {
        const tensors = promised.get(shard);
        if (tensors) tensors.push(tensor);
        else promised.set(shard, [tensor]);
        if (turns.isOver()) await turns.next();
    }
    const paths: string[] = [];
    const present = new Set(files);
    for (const shard of promised.keys()) {
        if (!/[/\\]/.test(shard) && !present.has(shard)) throw broken(index, l10n.t('it names {0}, which does not exist', JSON.stringify(shard)));
        paths.push(await within(folder, shard));
    }
    return joinShards(paths, [...promised.values()], await readAll(paths));
}

/** From tensor to file; of a tensor that is named twice the last one counts. */
async function readWeightMap(file: string, index: string): Promise<Map<string, string>> {
    const map = new Map<string, string>();
    const shards = new Set<string>();
    const noMap = (): CheckpointError => broken(index, l10n.t('it has no weight_map from tensor to file'));
    let text: string | undefined;
    await entriesOf(file, await readText(file), (key, value) => {
        if (key === 'weight_map') text = value;
        else JSON.parse(value);
    });
    if (!text?.trim().startsWith('{')) throw noMap();
    await entriesOf(file, text, (tensor, value) => {
        const shard: unknown = JSON.parse(value);
        if (typeof shard !== 'string') throw noMap();
        map.set(tensor, shard);
        if (shards.add(shard).size > MAX_SHARDS) throw broken(index, l10n.t('it names more than {0} files', MAX_SHARDS));
    });
    if (map.size === 0) throw noMap();
    return map;
}

async function entriesOf(file: string, text: string, visit: (key: string, value: string) => void): Promise<void> {
    try {
        await eachEntry(text, visit);
    } catch (error) {
        if (error instanceof NoObject) throw broken(file, l10n.t('it is not a JSON object'));
        if (error instanceof SyntaxError) throw broken(file, l10n.t('it is not JSON'));
        throw error;
    }
}

/** Every tensor stands in exactly one shard, the one that the index says. */
async function joinShards(files: readonly string[], promised: readonly (readonly string[])[], headers: readonly TensorInfo[][]): Promise<TensorInfo[]> {
    const owner = new Map<string, string>();
    const turns = new Turns();
    for (const [shard, tensors] of headers.entries()) {
        const file = files[shard]!;
        const names = new Set(tensors.map(({ name }) => name));
        const absent = promised[shard]!.find((name) => !names.has(name));
        if (absent !== undefined) throw broken(file, l10n.t('the index says that it holds {0}, and it does not', JSON.stringify(absent)));
        for (const name of names) {
            const other = owner.get(name);
            if (other !== undefined) throw broken(file, l10n.t('it holds {0}, which {1} holds too', JSON.stringify(name), path.basename(other)));
            owner.set(name, file);
            if (turns.isOver()) await turns.next();
        }
    }
    return headers.flat();
}

async function readAll(files: readonly string[]): Promise<TensorInfo[][]> {
    const results: TensorInfo[][] = [];
    for (let start = 0; start < files.length; start += READS_AT_ONCE) {
        results.push(...(await Promise.all(files.slice(start, start + READS_AT_ONCE).map(readHeader))));
    }
    return results;
}

async function describe(
    folder: string,
    config: Record<string, unknown>,
    tensors: readonly TensorInfo[],
    families: Readonly<Record<string, Family>>,
): Promise<CheckpointHeader> {
    const first: unknown = Array.isArray(config.architectures) ? config.architectures[0] : undefined;
    const architecture = typeof first === 'string' ? first : '';
    const family = Object.hasOwn(families, architecture) ? families[architecture] : readFamily(config, tensors);
    const said = config.tie_word_embeddings;
    const tied = typeof said === 'boolean' ? said : family?.tied ?? false;
    const linears = family ? await listLinears(tensors, family, tied) : [];
    // Of an unknown architecture without a head nobody knows whether it should have one.
    const isSure = said === true || Object.hasOwn(families, architecture);
    const maximum = config.max_position_embeddings;
    const quantization = config.quantization_config;
    const method = isRecord(quantization) ? quantization.quant_method : undefined;
    return {
        folder,
        architecture,
        dtype: computeDtype(config, tensors),
        parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
        bytes: tensors.reduce((sum, { begin, end }) => sum + end - begin, 0),
        blocks: new Set(linears.flatMap(({ block }) => (block === null ? [] : [block]))).size,
        maximumTokens: typeof maximum === 'number' && Number.isSafeInteger(maximum) && maximum > 0 ? maximum : null,
        quantization: isRecord(quantization) ? (typeof method === 'string' ? method : 'unknown method') : null,
        tiedHead: family && tied && isSure ? family.head : null,
        linears,
    };
}

/**
 * Where a model without a family of its own has its layers, read from names alone as the engine reads them
 * (docs/decisions/0011-generic-walk.md): as many equal numbered blocks as config.json says, their two-dimensional weights, one head of vocab_size rows.
 * The engine compares with transformers before it computes; here it serves patterns and hints.
 */
function readFamily(config: Record<string, unknown>, tensors: readonly TensorInfo[]): Family | undefined {
    const lists = new Map<string, Map<number, TensorInfo[]>>();
    for (const tensor of tensors) {
        const [, blocks, number] = /^(\D+)\.(\d+)\.(.+)$/.exec(tensor.name) ?? [];
        if (blocks === undefined || number === undefined) continue;
        const list = lists.get(blocks) ?? new Map<number, TensorInfo[]>();
        lists.set(blocks, list);
        list.set(Number(number), [...(list.get(Number(number)) ?? []), tensor]);
    }
    const found = [...lists].filter(([, list]) => list.size === config.num_hidden_layers);
    const size = (list: ReadonlyMap<number, readonly TensorInfo[]>): number => (list.get(0) ?? []).reduce((sum, { begin, end }) => sum + end - begin, 0);
    const [blocks, list] = found.sort((a, b) => size(b[1]) - size(a[1]))[0] ?? [];
    if (blocks === undefined || list === undefined) return undefined;
    const linears = (list.get(0) ?? []).filter(({ name, shape }) => shape.length === 2 && name.endsWith('.weight'))
        .map(({ name }) => name.slice(`${blocks}.0.`.length, -'.weight'.length));
    const base = blocks.slice(0, blocks.lastIndexOf('.') + 1);
    const head = tensors.find(({ name, shape }) => !name.startsWith(base) && shape.length === 2 && shape[0] === config.vocab_size);
    return { blocks, linears, head: head?.name.slice(0, -'.weight'.length) ?? 'lm_head', tied: head === undefined, fused: [] };
}

async function listLinears(tensors: readonly TensorInfo[], family: Family, tied: boolean): Promise<Linear[]> {
    const turns = new Turns();
    const kinds = family.linears.map((kind) => new RegExp(`^${kind.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace('*', '(\\d+)')}$`));
    const linears: (Linear & { readonly rank: readonly [number, number] })[] = [];
    for (const { name, shape, begin, end } of tensors) {
        if (turns.isOver()) await turns.next();
        const [outputs, inputs, ...more] = shape;
        if (outputs === undefined || inputs === undefined || more.length > 0 || !name.endsWith('.weight')) continue;
        const module = name.slice(0, -'.weight'.length);
        const [, number, kind = ''] = module.startsWith(`${family.blocks}.`) ? (/^\.(\d+)\.(.+)$/.exec(module.slice(family.blocks.length)) ?? []) : [];
        const place = kinds.findIndex((pattern) => pattern.test(kind));
        // An expert's layers stand together, after those of the block itself.
        const expert = Number(kinds[place]?.exec(kind)?.[1] ?? -1);
        const layer = { name: module, outputs, inputs, bytes: end - begin };
        if (number !== undefined && place >= 0) linears.push({ ...layer, block: Number(number), rank: [expert, place] });
        else if (module === family.head && !tied) linears.push({ ...layer, block: null, rank: [-1, 0] });
    }
    linears.sort((a, b) =>
        (a.block ?? Number.MAX_SAFE_INTEGER) - (b.block ?? Number.MAX_SAFE_INTEGER) || a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1]);
    return linears.map(({ name, block, outputs, inputs, bytes }) => ({ name, block, outputs, inputs, bytes }));
}

/** The dtype the model computes in: the config's word, else that of most bytes. */
function computeDtype(config: Record<string, unknown>, tensors: readonly TensorInfo[]): string {
    const said = config.dtype ?? config.torch_dtype;
    if (typeof said === 'string') return said;
    const bytes = new Map<string, number>();
    for (const { dtype, begin, end } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + end - begin);
    return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}
