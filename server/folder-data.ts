import { open, readdir } from 'node:fs/promises';
import * as path from 'node:path';
import { isRecord } from '../protocol/safetensors';
import type { FolderData } from './facts';

const MAX_JSON_BYTES = 1 << 20;
const MAX_NAMED = 12;

/** What a folder holds where a data file is wanted. Folders that the `datasets` library writes describe themselves in JSON beside their Arrow files. */
export async function readFolderData(folder: string): Promise<FolderData> {
    const names = (await readdir(folder).catch((): string[] => [])).sort();
    const file = names.find((name) => /\.(jsonl|ndjson)$/i.test(name)) ?? names.find((name) => /\.txt$/i.test(name));
    const [info, splits] = [await readJson(folder, names, 'dataset_info.json'), await readJson(folder, names, 'dataset_dict.json')];
    return {
        file,
        isDataset: info !== undefined || splits !== undefined || names.includes('state.json'),
        rows: rowsOf(info?.splits),
        columns: Object.keys(isRecord(info?.features) ? info.features : {}).slice(0, MAX_NAMED),
        splits: (Array.isArray(splits?.splits) ? splits.splits : []).filter((name) => typeof name === 'string').slice(0, MAX_NAMED),
    };
}

function rowsOf(splits: unknown): number | undefined {
    const counts = Object.values(isRecord(splits) ? splits : {}).map((split) => (isRecord(split) ? split.num_examples : undefined));
    const isKnown = counts.length > 0 && counts.every((count) => Number.isSafeInteger(count));
    return isKnown ? counts.reduce((sum: number, count) => sum + Number(count), 0) : undefined;
}

async function readJson(folder: string, names: readonly string[], name: string): Promise<Record<string, unknown> | undefined> {
    if (!names.includes(name)) return undefined;
    try {
        const handle = await open(path.join(folder, name), 'r');
        try {
            const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_JSON_BYTES), 0, MAX_JSON_BYTES, 0);
            const parsed: unknown = JSON.parse(buffer.toString('utf8', 0, bytesRead));
            return isRecord(parsed) ? parsed : {};
        } finally {
            await handle.close();
        }
    } catch {
        return {};
    }
}
