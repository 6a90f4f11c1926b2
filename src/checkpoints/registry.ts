import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { Debouncer, type Clock } from '../base/clock';
import type { Log } from '../base/log';
import { CHECKPOINT_FILES, checkpointFolders, concernsRecognition, isNeverSearched, MAX_CHECKPOINTS, NEVER_CHECKPOINTS, saysQuantized } from './recognise';
import { topLevels } from './topLevels';

const QUIET = 300;
/** Events of files in a folder that is just being made get lost, so after a new folder everything is looked at once more. */
const LATER = 3000;

/** The checkpoints of the workspace, kept fresh, and the context keys that menus look at. */
export class CheckpointRegistry implements vscode.Disposable {
    private folders: readonly vscode.Uri[] = [];
    private unquantized: readonly vscode.Uri[] = [];
    private scan: Promise<void> = Promise.resolve();
    private readonly changed = new vscode.EventEmitter<readonly vscode.Uri[]>();
    private readonly debouncer: Debouncer;
    private readonly later: Debouncer;
    private readonly disposables: vscode.Disposable[] = [this.changed];

    readonly onDidChange = this.changed.event;

    constructor(
        clock: Clock,
        private readonly log: Log,
    ) {
        this.debouncer = new Debouncer(clock, QUIET, () => void this.refresh());
        const files = vscode.workspace.createFileSystemWatcher(CHECKPOINT_FILES, false, true, false);
        this.later = new Debouncer(clock, LATER, () => void this.refresh());
        // Copying, deleting or moving a folder may report the folder alone, so these are watched everywhere.
        const folders = vscode.workspace.createFileSystemWatcher('**', false, true, false);
        this.disposables.push(
            this.debouncer, this.later, files, folders,
            files.onDidCreate(() => this.debouncer.trigger()),
            files.onDidDelete(() => this.debouncer.trigger()),
            folders.onDidCreate((uri) => void this.created(uri)),
            folders.onDidDelete((uri) => this.deleted(uri)),
            vscode.workspace.onDidChangeWorkspaceFolders(() => this.debouncer.trigger()),
        );
    }

    get all(): readonly vscode.Uri[] {
        return this.folders;
    }

    /** Those that can be quantized: without the outputs of runs. */
    get sources(): readonly vscode.Uri[] {
        return this.unquantized;
    }

    /** The checkpoint that a resource names: the folder itself, or the folder that a file of it lies in. */
    containing(uri: vscode.Uri): vscode.Uri | undefined {
        const parent = vscode.Uri.joinPath(uri, '..').toString();
        return this.folders.find((folder) => folder.toString() === uri.toString() || folder.toString() === parent);
    }

    /** The top levels of the workspace at once, so that menus are right as soon as the explorer is there; then everything. */
    first(): { readonly glanced: Promise<void>; readonly searched: Promise<void> } {
        const glanced = this.glance().catch((error: unknown) => this.log.error(`a first look for checkpoints: ${String(error)}`));
        this.scan = glanced;
        return { glanced, searched: this.refresh() };
    }

    refresh(): Promise<void> {
        this.scan = this.scan.then(() => this.search()).catch((error: unknown) => this.log.error(`searching for checkpoints: ${String(error)}`));
        return this.scan;
    }

    dispose(): void {
        for (const item of this.disposables) item.dispose();
    }

    private async created(uri: vscode.Uri): Promise<void> {
        if (isNeverSearched(uri.path)) return;
        const found = await Promise.resolve(vscode.workspace.fs.stat(uri)).catch(() => undefined);
        if (found && (found.type & vscode.FileType.Directory) !== 0) this.later.trigger();
    }

    private deleted(uri: vscode.Uri): void {
        const name = path.posix.basename(uri.path);
        const prefix = `${uri.toString()}/`;
        const within = this.folders.some((folder) => `${folder.toString()}/`.startsWith(prefix));
        if (within || concernsRecognition(name)) this.debouncer.trigger();
    }

    private async glance(): Promise<void> {
        // Elsewhere than on a disk every listing may be a request over the network.
        const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
        const found = await Promise.all(folders.map(({ uri }) => topLevels(uri.fsPath, listFolder, (folder, name) => path.join(folder, name))));
        await this.take(found.flat().flatMap(({ folder, files }) => files.filter(concernsRecognition).map((name) => vscode.Uri.file(path.join(folder, name)))));
    }

    private async search(): Promise<void> {
        await this.take(await vscode.workspace.findFiles(CHECKPOINT_FILES, NEVER_CHECKPOINTS));
        this.log.info(`checkpoints: ${this.folders.length} in the workspace`);
    }

    private async take(files: readonly vscode.Uri[]): Promise<void> {
        const byPath = new Map(files.map((uri) => [path.posix.dirname(uri.path), uri]));
        const paths = checkpointFolders(files.map((uri) => uri.path));
        if (paths.length > MAX_CHECKPOINTS) {
            this.log.warn(`${paths.length} checkpoint folders found; the first ${MAX_CHECKPOINTS} are offered in the explorer`);
        }
        this.folders = paths.slice(0, MAX_CHECKPOINTS).flatMap((folder) => byPath.get(folder)?.with({ path: folder }) ?? []);
        const quantized = await Promise.all(this.folders.map(isQuantized));
        this.unquantized = this.folders.filter((_, index) => !quantized[index]);
        await this.publish();
        this.changed.fire(this.folders);
    }

    /** `resourcePath` is the fsPath of local files and the plain path elsewhere, so both spellings are published. */
    private async publish(): Promise<void> {
        const spellings = new Set(this.sources.flatMap((uri) => [uri.fsPath, uri.path]));
        await Promise.all([
            vscode.commands.executeCommand('setContext', 'quant.checkpointFolders', [...spellings]),
            vscode.commands.executeCommand('setContext', 'quant.checkpointCount', this.folders.length),
            // Until then the explorer's menu goes by the names of folders.
            vscode.commands.executeCommand('setContext', 'quant.checkpointsKnown', true),
        ]);
    }
}

async function isQuantized(folder: vscode.Uri): Promise<boolean> {
    try {
        const config = vscode.Uri.joinPath(folder, 'config.json');
        const bytes = config.scheme === 'file' ? await readFile(config.fsPath) : await vscode.workspace.fs.readFile(config);
        return saysQuantized(new TextDecoder().decode(bytes));
    } catch {
        return false;
    }
}

/** By Node: every request to `workspace.fs` waits its turn while the host is busy starting extensions. */
async function listFolder(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
    const entries = await readdir(folder, { withFileTypes: true });
    return Promise.all(entries.map(async (entry) => {
        const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await isLinkToFolder(path.join(folder, entry.name))));
        return { name: entry.name, isFolder };
    }));
}

async function isLinkToFolder(link: string): Promise<boolean> {
    return stat(link).then((target) => target.isDirectory(), () => false);
}
