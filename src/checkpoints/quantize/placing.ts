import { readdir } from 'node:fs/promises';
import path from 'node:path';

const RECIPE = /\.quant\.ya?ml$/;
const CALIBRATION = /^calib.*\.(jsonl|txt)$/i;
const HELD_OUT = /^(held-?out|validation|eval).*\.(txt|jsonl)$/i;

export interface Placing {
    /** Folder for the recipe. */
    readonly folder: string;
    /** Absolute paths of data found nearby. */
    readonly calibration: string | undefined;
    readonly heldOut: string | undefined;
}

/**
 * Where a recipe for this checkpoint goes: the nearest folder above it that already holds recipes or calibration data, else the folder that
 * the checkpoint lies in. Never above the workspace folder; a checkpoint outside of every workspace folder gets its recipe in the first.
 */
export async function placeRecipe(checkpoint: string, workspaceFolders: readonly string[]): Promise<Placing> {
    const home = workspaceFolders.find((folder) => isWithin(checkpoint, folder));
    const above = home === undefined ? workspaceFolders.slice(0, 1) : foldersBetween(path.dirname(checkpoint), home);
    const listed = await Promise.all(above.map(async (folder) => ({ folder, names: await names(folder) })));
    const used = listed.find(({ names: found }) => found.some((name) => RECIPE.test(name) || CALIBRATION.test(name)));
    const folder = used?.folder ?? above[0] ?? path.dirname(checkpoint);
    const nearest = (pattern: RegExp): string | undefined => {
        for (const { folder: place, names: found } of listed) {
            const name = found.find((candidate) => pattern.test(candidate));
            if (name !== undefined) return path.join(place, name);
        }
        return undefined;
    };
    return { folder, calibration: nearest(CALIBRATION), heldOut: nearest(HELD_OUT) };
}

/** The first of `name.quant.yaml`, `name-2.quant.yaml` … that does not exist. */
export async function freeRecipePath(folder: string, name: string): Promise<string> {
    const taken = new Set(await names(folder));
    for (let count = 1; ; count++) {
        const file = `${name}${count === 1 ? '' : `-${count}`}.quant.yaml`;
        if (!taken.has(file)) return path.join(folder, file);
    }
}

/** From a folder up to a folder above it, both included; only `from` when it is not below. */
function foldersBetween(from: string, to: string): string[] {
    const folders: string[] = [];
    for (let folder = from; isWithin(folder, to); folder = path.dirname(folder)) {
        folders.push(folder);
        if (folder === to) break;
    }
    return folders.length > 0 ? folders : [to];
}

export function isWithin(file: string, folder: string): boolean {
    const relative = path.relative(folder, file);
    return relative === '' || (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative));
}

async function names(folder: string): Promise<string[]> {
    try {
        return (await readdir(folder)).sort();
    } catch {
        return []; // A folder that cannot be listed offers nothing; writing there reports why.
    }
}
