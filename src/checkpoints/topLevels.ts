/** Lists a folder: names, and whether each is a folder. Rejects when it cannot be read. */
export type ListFolder<Folder> = (folder: Folder) => Promise<readonly { readonly name: string; readonly isFolder: boolean }[]>;

/** Checkpoints usually lie in `checkpoints/name` or `models/owner/name`. */
const LEVELS = 4;
/** A wider tree is left to the search of the whole workspace. */
const MOST_FOLDERS = 400;
/** Many files, never a checkpoint; hidden folders are the same. */
const SKIPPED = new Set(['node_modules', 'venv', '__pycache__', 'site-packages']);

/**
 * The folders in the top levels of a workspace folder, level by level, each with the names of its files. A few directory listings in parallel,
 * and therefore an answer long before the search of the whole workspace has one. A folder that cannot be listed is left out.
 */
export async function topLevels<Folder>(root: Folder, list: ListFolder<Folder>, join: (folder: Folder, name: string) => Folder): Promise<{ readonly folder: Folder; readonly files: readonly string[] }[]> {
    const found: { folder: Folder; files: readonly string[] }[] = [];
    let level: readonly Folder[] = [root];
    for (let depth = 0; depth < LEVELS && level.length > 0; depth++) {
        const listed = await Promise.all(level.slice(0, MOST_FOLDERS - found.length).map(async (folder) => ({ folder, entries: await list(folder).catch(() => []) })));
        for (const { folder, entries } of listed) found.push({ folder, files: entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name) });
        level = listed.flatMap(({ folder, entries }) => entries.filter(({ name, isFolder }) => isFolder && !SKIPPED.has(name) && !name.startsWith('.')).map(({ name }) => join(folder, name)));
    }
    return found;
}
