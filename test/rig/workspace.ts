// A copy of a workspace in a short temporary folder: every test file gets its own.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../scripts/lib/paths.mjs';
import { onExit } from '../../scripts/lib/process.mjs';

export const samples = path.join(root, 'samples');

export interface Workspace {
    readonly folder: string;
    /** Writes a file inside, folders included. */
    write(file: string, content: string): void;
    /** The absolute path of a file inside. */
    path(...parts: string[]): string;
    remove(): void;
}

/** What belongs to the repository: recipes, runs and outputs that somebody made there with the product stay where they are. */
function ownFiles(source: string): readonly string[] | undefined {
    const listed = spawnSync('git', ['ls-files', '-z'], { cwd: source, encoding: 'utf8' });
    const files = listed.status === 0 ? listed.stdout.split('\0').filter(Boolean) : [];
    return files.length > 0 ? files : undefined;
}

/** Copies a folder, of a repository only what belongs to it. */
export function copyFolder(source: string, target: string): void {
    const files = ownFiles(source);
    if (!files) return cpSync(source, target, { recursive: true });
    for (const file of files.filter((name) => existsSync(path.join(source, name)))) cpSync(path.join(source, file), path.join(target, file));
}

/**
 * @param source copied; without it the workspace is empty. Absent folders count as empty too.
 */
export function copyWorkspace(source?: string): Workspace {
    const parent = realpathSync(mkdtempSync('/tmp/qw-'));
    const folder = path.join(parent, source ? path.basename(source) : 'workspace');
    mkdirSync(folder);
    if (source && existsSync(source)) {
        copyFolder(source, folder);
    }
    const remove = () => rmSync(parent, { recursive: true, force: true, maxRetries: 3 });
    const forget = onExit(remove);
    return {
        folder,
        write(file, content) {
            const target = path.join(folder, file);
            mkdirSync(path.dirname(target), { recursive: true });
            writeFileSync(target, content);
        },
        path: (...parts) => path.join(folder, ...parts),
        remove() {
            forget();
            remove();
        },
    };
}
