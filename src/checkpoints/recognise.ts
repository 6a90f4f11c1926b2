import path from 'node:path';

/** Files that make a folder with a `config.json` a checkpoint. */
const WEIGHTS = /^(.+\.safetensors|.+\.safetensors\.index\.json|pytorch_model.*\.bin|.+\.gguf)$/;

/** Search pattern for everything that recognition looks at. */
export const CHECKPOINT_FILES = '**/{config.json,*.safetensors,*.safetensors.index.json,pytorch_model*.bin,*.gguf}';

/** Folders that never hold checkpoints but many files. */
const NEVER = ['node_modules', '.git', '.venv', 'venv', '__pycache__', 'site-packages'];
export const NEVER_CHECKPOINTS = `**/{${NEVER.join(',')}}/**`;

/** Whether a path (POSIX) lies where no checkpoint is looked for. */
export function isNeverSearched(file: string): boolean {
    return file.split('/').some((part) => NEVER.includes(part));
}

/** More folders than this are left out, and the log says so. */
export const MAX_CHECKPOINTS = 1000;

/** Folders, in path order, that hold both a config.json and weights, among the paths of found files (POSIX or native). */
export function checkpointFolders(files: readonly string[]): string[] {
    const configured = new Set<string>();
    const weighted = new Set<string>();
    for (const file of files) {
        const name = path.basename(file);
        if (name === 'config.json') configured.add(path.dirname(file));
        else if (WEIGHTS.test(name)) weighted.add(path.dirname(file));
    }
    return [...configured].filter((folder) => weighted.has(folder)).sort();
}

/** Whether a config.json says that the weights beside it are quantized already: the output of a run is a checkpoint, but nothing to start from. */
export function saysQuantized(config: string): boolean {
    try {
        const parsed = JSON.parse(config) as { quantization_config?: unknown } | null;
        return typeof parsed?.quantization_config === 'object' && parsed.quantization_config !== null;
    } catch {
        return false; // Whoever reads it as a checkpoint says what is wrong with it.
    }
}

/** Whether a file with this name can turn its folder into a checkpoint, or back. */
export function concernsRecognition(name: string): boolean {
    return name === 'config.json' || WEIGHTS.test(name);
}
