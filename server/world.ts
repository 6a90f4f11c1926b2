import { access, constants, lstat, readdir, readFile, realpath, stat, statfs } from 'node:fs/promises';
import * as path from 'node:path';
import * as l10n from '@vscode/l10n';
import { readCheckpoint, type Family } from '../protocol/checkpoint';
import type { Result } from '../protocol/generated/result';
import { RUN_FILES } from '../protocol/runs';
import { CheckpointError, isRecord } from '../protocol/safetensors';
import type { FolderEntry } from './complete-values';
import { readFolderData } from './folder-data';
import type { CheckpointFact, DiskFact, FileFact, LastResult } from './facts';
import { readTexts } from './text-data';

/** Looks at the disk, one question at a time. Nothing here throws: what cannot be read is a fact too. */

const MAX_RESULT_BYTES = 256 << 20;
const MAX_LISTED = 1000;
/** Bytes that other processes may write before the disk is looked at again. */
const DISK_STEP = 64 << 20;
/** Files of which transformers makes a tokenizer, any one of them. */
const TOKENIZERS: ReadonlySet<string> = new Set(['tokenizer.json', 'tokenizer_config.json', 'tokenizer.model', 'vocab.json', 'vocab.txt', 'spiece.model', 'tekken.json']);

/** Remembers what a question was answered with, as long as the thing asked about has not changed. */
export class Remembered<T> {
    private readonly known = new Map<string, { readonly stamp: string; readonly value: T }>();
    private readonly looked = new Map<string, number>();

    constructor(
        private readonly stamp: (file: string) => Promise<string>,
        private readonly read: (file: string) => Promise<T>,
        /** How many milliseconds a stamp is taken to be still true; of hundreds of files it takes longer to make than a keystroke. */
        private readonly patience = 0,
    ) {}

    get(file: string): T | undefined {
        return this.known.get(file)?.value;
    }

    /** Asks again if the stamp is another one; true: there is a new answer. */
    async refresh(file: string): Promise<boolean> {
        if (performance.now() - (this.looked.get(file) ?? -Infinity) < this.patience) return false;
        const stamp = await this.stamp(file);
        this.looked.set(file, performance.now());
        if (this.known.get(file)?.stamp === stamp) return false;
        this.known.set(file, { stamp, value: await this.read(file) });
        return true;
    }

    /** What is remembered may be another one by now. */
    expire(): void {
        this.looked.clear();
    }
}

export async function fileStamp(file: string): Promise<string> {
    try {
        const { size, mtimeMs, ino, mode } = await stat(file);
        return `${size} ${mtimeMs} ${ino} ${mode}`;
    } catch (error) {
        // What is missing may become possible, or impossible, to make.
        const parent = await existingParent(file);
        const { mode } = await stat(parent);
        return `${String((error as NodeJS.ErrnoException).code)} ${parent} ${mode}`;
    }
}

/** The nearest path above a missing one that exists. */
async function existingParent(file: string): Promise<string> {
    for (let parent = path.dirname(path.resolve(file)); ; parent = path.dirname(parent)) {
        const exists = await stat(parent).then(() => true, () => false);
        if (exists || parent === path.dirname(parent)) return parent;
    }
}

async function blocked(file: string): Promise<FileFact['blocked']> {
    const parent = await realpath(await existingParent(file));
    if (!(await isDirectory(parent))) return { parent, reason: 'is not a folder' };
    return access(parent, constants.W_OK | constants.X_OK).then(() => undefined, () => ({ parent, reason: 'cannot be written' as const }));
}

export async function checkpointFact(folder: string, families: Readonly<Record<string, Family>>): Promise<CheckpointFact> {
    try {
        const header = await readCheckpoint(folder, families);
        const names = await readdir(folder);
        const config: unknown = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
        const width = isRecord(config) ? config.hidden_size : undefined;
        return { state: 'read', header, hasTokenizer: names.some((name) => TOKENIZERS.has(name)), hiddenSize: typeof width === 'number' ? width : undefined };
    } catch (error) {
        if (error instanceof CheckpointError) return { state: 'refused', folder, code: error.code, message: error.message };
        const reason = error instanceof Error ? error.message : String(error);
        return { state: 'refused', folder, code: 'model-broken', message: l10n.t('cannot read {0}: {1}', folder, reason) };
    }
}

export async function fileFact(file: string): Promise<FileFact> {
    try {
        const stats = await stat(file);
        const realPath = await realpath(file);
        if (!stats.isFile()) return { kind: 'folder', realPath, text: undefined, data: await readFolderData(file) };
        return { kind: 'file', realPath, bytes: stats.size, ...(await readTexts(file, stats.size)) };
    } catch {
        const dangling = await lstat(file).then(() => true, () => false);
        return { kind: 'missing', realPath: path.resolve(file), dangling, blocked: await blocked(file).catch(() => undefined), text: undefined };
    }
}

/** What is free of the disk on which a path is, or would be; undefined: the system does not say. */
export async function diskFact(file: string): Promise<DiskFact | undefined> {
    try {
        const parent = await stat(file).then(() => file, () => existingParent(file));
        const [{ dev }, { bavail, bsize }] = [await stat(parent), await statfs(parent)];
        return { device: String(dev), free: bavail * bsize };
    } catch {
        return undefined;
    }
}

/** Changes when so much has been written or freed that it could matter. */
export async function diskStamp(file: string): Promise<string> {
    const fact = await diskFact(file);
    return fact ? `${fact.device} ${Math.floor(fact.free / DISK_STEP)}` : '';
}

/** The result of a run and the recipe that ran, from the run directory. */
export async function readResult(file: string): Promise<LastResult | undefined> {
    try {
        if ((await stat(file)).size > MAX_RESULT_BYTES) return undefined;
        const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
        if (!isRecord(parsed) || parsed.format !== 1 || !Array.isArray(parsed.layers) || !Array.isArray(parsed.candidates)) return undefined;
        const recipe = path.join(path.dirname(file), RUN_FILES.recipe);
        return { result: parsed as unknown as Result, ran: await readFile(recipe, 'utf8').catch(() => undefined), folder: path.dirname(file) };
    } catch {
        return undefined;
    }
}

export async function listFolder(folder: string): Promise<FolderEntry[]> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    return Promise.all(
        entries.slice(0, MAX_LISTED).map(async (entry): Promise<FolderEntry> => {
            const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await isDirectory(path.join(folder, entry.name))));
            const isCheckpoint = isFolder && (await holdsCheckpoint(path.join(folder, entry.name)));
            return { name: entry.name, kind: isFolder ? 'folder' : 'file', isCheckpoint };
        }),
    );
}

async function isDirectory(file: string): Promise<boolean> {
    return stat(file).then((stats) => stats.isDirectory(), () => false);
}

async function holdsCheckpoint(folder: string): Promise<boolean> {
    const names = await readdir(folder).catch((): string[] => []);
    return names.includes('config.json') && names.some((name) => name.endsWith('.safetensors'));
}
