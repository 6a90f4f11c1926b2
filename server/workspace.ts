import { homedir } from 'node:os';
import * as path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { checkpointFingerprint, type Family } from '../protocol/checkpoint';
import type { FolderEntry } from './complete-values';
import { namedPaths, NO_FACTS, RUNS, type CheckpointFact, type Facts, type Running } from './facts';
import type { Recipe } from './recipe';
import { checkpointFact, diskFact, diskStamp, fileFact, fileStamp, listFolder, readResult, Remembered } from './world';

/**
 * What the server knows of the disk. Questions are answered at once from memory; `refresh` looks again beside the typing path and says when
 * an answer has changed.
 */
export class Workspace {
    private readonly checkpoints: Remembered<CheckpointFact>;
    private readonly files = new Remembered(fileStamp, fileFact);
    private readonly disks = new Remembered(diskStamp, diskFact);
    private readonly results = new Remembered(fileStamp, readResult);
    private resultPaths: Readonly<Record<string, string>> = {};
    private running: Readonly<Record<string, Running>> = {};
    private readonly refreshing = new Map<string, Promise<void>>();
    private readonly wanted = new Map<string, Recipe>();

    /** `changed`: the answers for a recipe are other ones now. */
    constructor(
        families: Readonly<Record<string, Family>>,
        private readonly changed: (uri: string) => void,
    ) {
        this.checkpoints = new Remembered(checkpointFingerprint, (folder) => checkpointFact(folder, families), STAMP_MS);
    }

    /** Something on the disk has changed. */
    expire(): void {
        this.checkpoints.expire();
    }

    setResults(results: Readonly<Record<string, string>>): void {
        this.resultPaths = results;
    }

    /** What is new; outputs: others than before are being written, so findings may be other ones. */
    setRunning(running: Readonly<Record<string, Running>>): 'nothing' | 'state' | 'outputs' {
        const before = this.running;
        this.running = running;
        if (isDeepStrictEqual(before, running)) return 'nothing';
        const outputs = (of: Readonly<Record<string, Running>>): unknown => Object.entries(of).map(([uri, { output }]) => [uri, output]);
        return isDeepStrictEqual(outputs(before), outputs(running)) ? 'state' : 'outputs';
    }

    factsFor(uri: string, recipe: Recipe): Facts {
        const folder = folderOf(uri);
        if (folder === undefined) return NO_FACTS;
        const { checkpoints, data, outputs } = namedPaths(recipe);
        const result = this.resultPaths[uri];
        return {
            checkpoints: known(checkpoints, (text) => this.checkpoints.get(resolve(folder, text))),
            files: known([...checkpoints, ...data, ...outputs], (text) => this.files.get(resolve(folder, text))),
            disks: known([...outputs.slice(0, 1), RUNS], (text) => this.disks.get(resolve(folder, text))),
            runs: resolve(folder, RUNS),
            result: result === undefined ? undefined : this.results.get(result),
            running: this.running[uri],
        };
    }

    /** Looks again at everything the recipe names; at most one look at a time for each recipe, the latest wish wins. */
    refresh(uri: string, recipe: Recipe): Promise<void> {
        this.wanted.set(uri, recipe);
        let running = this.refreshing.get(uri);
        if (!running) {
            running = this.lookUntilQuiet(uri).finally(() => this.refreshing.delete(uri));
            this.refreshing.set(uri, running);
        }
        return running;
    }

    private async lookUntilQuiet(uri: string): Promise<void> {
        for (let recipe = this.wanted.get(uri); recipe; recipe = this.wanted.get(uri)) {
            this.wanted.delete(uri);
            if (await this.look(uri, recipe)) this.changed(uri);
        }
    }

    private async look(uri: string, recipe: Recipe): Promise<boolean> {
        const folder = folderOf(uri);
        if (folder === undefined) return false;
        const { checkpoints, data, outputs } = namedPaths(recipe);
        const result = this.resultPaths[uri];
        const news = await Promise.all([
            ...checkpoints.map((text) => this.checkpoints.refresh(resolve(folder, text))),
            ...[...checkpoints, ...data, ...outputs].map((text) => this.files.refresh(resolve(folder, text))),
            ...[...outputs.slice(0, 1), RUNS].map((text) => this.disks.refresh(resolve(folder, text))),
            ...(result === undefined ? [] : [this.results.refresh(result)]),
        ]);
        return news.includes(true);
    }

    /** Entries of a folder that is written relative to the recipe. */
    async list(uri: string, relative: string): Promise<FolderEntry[]> {
        const folder = folderOf(uri);
        return folder === undefined ? [] : listFolder(resolve(folder, relative));
    }

    /** URI to open for a path of the recipe; a folder opens by a file in it. */
    linkTarget(uri: string, relative: string, format: string): string | undefined {
        const folder = folderOf(uri);
        if (folder === undefined) return undefined;
        const file = resolve(folder, relative);
        const fact = this.files.get(file);
        if (!fact || fact.kind === 'missing') return undefined;
        const isFolder = fact.kind === 'folder' && format !== 'path';
        return pathToFileURL(isFolder ? path.join(file, 'config.json') : file).href;
    }
}

/** Checkpoints do not change while somebody types; when files change the editor says so. */
const STAMP_MS = 1000;

/** A path of the recipe: `~` is the home folder, relative ones count from the recipe's folder. */
function resolve(folder: string, written: string): string {
    return path.resolve(folder, written.replace(/^~(?=\/|$)/, homedir()));
}

/** Folder that a recipe's paths are relative to; undefined where the recipe does not lie on this machine's disk. */
function folderOf(uri: string): string | undefined {
    try {
        return uri.startsWith('file:') ? path.dirname(fileURLToPath(uri)) : undefined;
    } catch {
        return undefined;
    }
}

function known<T>(texts: readonly string[], get: (text: string) => T | undefined): Map<string, T> {
    const facts = new Map<string, T>();
    for (const text of texts) {
        const fact = get(text);
        if (fact !== undefined) facts.set(text, fact);
    }
    return facts;
}
