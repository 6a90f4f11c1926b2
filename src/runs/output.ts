import { lstat, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';

/** The folder that a recipe writes to; undefined when it names none, or cannot be read (the engine then says why). */
export async function outputOf(recipe: string): Promise<string | undefined> {
    try {
        const document = parse(await readFile(recipe, 'utf8')) as unknown;
        const output = typeof document === 'object' && document !== null ? (document as { output?: unknown }).output : undefined;
        if (typeof output !== 'string' || output === '') return undefined;
        return path.resolve(path.dirname(recipe), output.replace(/^~(?=\/|$)/, homedir()));
    } catch {
        return undefined;
    }
}

export async function exists(file: string): Promise<boolean> {
    return lstat(file).then(() => true, () => false);
}

/** The first of `out-2`, `out-3` … that is not taken. */
export async function nextFree(output: string): Promise<string> {
    const base = output.replace(/-\d+$/, '');
    for (let number = 2; ; number++) {
        const name = `${base}-${number}`;
        if (!(await exists(name))) return name;
    }
}
