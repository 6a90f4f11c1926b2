// A copy of a workspace in a short temporary folder: every test file gets its own.
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

/** Runs and outputs of earlier work stay where they are; a fresh copy has none. */
const leftBehind = new Set(['runs', 'output', '.vscode']);

/**
 * @param source copied; without it the workspace is empty. Absent folders count as empty too.
 */
export function copyWorkspace(source?: string): Workspace {
    const parent = realpathSync(mkdtempSync('/tmp/qw-'));
    const folder = path.join(parent, source ? path.basename(source) : 'workspace');
    mkdirSync(folder);
    if (source && existsSync(source)) {
        cpSync(source, folder, { recursive: true, filter: (file) => !leftBehind.has(path.relative(source, file)) });
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
