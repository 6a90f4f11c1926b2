import { homedir } from 'node:os';
import path from 'node:path';
import { exists } from '../../base/files';
import type { PythonProvider, PythonSource } from './finder';

export interface Places {
    /** The value of `quant.pythonPath`, empty when unset. */
    readonly setting: () => string;
    readonly extension: string;
    /** Where “Set Up Engine” puts its environment. */
    readonly storage: string;
    readonly workspaceFolders: () => readonly string[];
}

const windows = process.platform === 'win32';

export function venvPython(venv: string): string {
    return windows ? path.join(venv, 'Scripts', 'python.exe') : path.join(venv, 'bin', 'python');
}

/** Written as the last step of a set-up; an environment without it is unfinished and never used. */
export const SET_UP_STAMP = 'quant-engine-ready';

export function setUpFolder(storage: string): string {
    return path.join(storage, 'engine-environment');
}

/** The places in the order in which they are tried. */
export function pythonProviders(places: Places): PythonProvider[] {
    const existing = (source: PythonSource, pythons: () => readonly string[], marker?: string): PythonProvider => ({
        async candidates() {
            const found: { python: string; source: PythonSource }[] = [];
            for (const python of pythons()) if (await exists(marker ?? python)) found.push({ python, source });
            return found;
        },
    });
    const environment = setUpFolder(places.storage);
    return [
        {
            candidates: () => {
                const setting = places.setting().trim();
                return Promise.resolve(setting ? [{ python: expandPath(setting, places.workspaceFolders()[0]), source: 'setting' as const }] : []);
            },
        },
        existing('development', () => [venvPython(path.join(places.extension, '.venv'))]),
        existing('set-up', () => [venvPython(environment)], path.join(environment, SET_UP_STAMP)),
        existing('workspace', () => places.workspaceFolders().flatMap((folder) => ['.venv', 'venv'].map((name) => venvPython(path.join(folder, name))))),
        { candidates: () => Promise.resolve((windows ? ['py', 'python'] : ['python3', 'python']).map((python) => ({ python, source: 'path' as const }))) },
    ];
}

/** Expands `~` and `${workspaceFolder}`; a relative path is taken from the workspace folder. A bare name is left for PATH. */
export function expandPath(value: string, workspaceFolder: string | undefined): string {
    let result = value.replace(/^~(?=$|[\\/])/, homedir());
    if (workspaceFolder !== undefined) {
        result = result.replaceAll('${workspaceFolder}', workspaceFolder);
        if (/[\\/]/.test(result) && !path.isAbsolute(result)) result = path.join(workspaceFolder, result);
    }
    return result;
}
