import type { CheckpointHeader } from '../protocol/checkpoint';
import type { Result } from '../protocol/generated/result';
import type { RunningParams } from '../protocol/language';
import type { CheckpointErrorCode } from '../protocol/safetensors';
import type { Place, Recipe } from './recipe';
import { soundPart } from './sound';

/** What is known of the world outside the document. The pure functions get it; `workspace.ts` finds it out. */
export interface Facts {
    /** By the text in the recipe; absent: not looked at yet. */
    readonly checkpoints: ReadonlyMap<string, CheckpointFact>;
    readonly files: ReadonlyMap<string, FileFact>;
    /** Of the outputs, by the text in the recipe, and of the folder of run directories, by RUNS. */
    readonly disks?: ReadonlyMap<string, DiskFact>;
    /** Absolute path of that folder. */
    readonly runs?: string;
    readonly result: LastResult | undefined;
    readonly running: Running | undefined;
}

/** A run of the recipe that is in progress or can be resumed: how far it is, for example `layer 12/40`, and what can be done about it. */
export type Running = RunningParams['recipes'][string];

export type CheckpointFact =
    | {
        readonly state: 'read';
        readonly header: CheckpointHeader;
        /** Whether the folder has a file that a tokenizer is made of; undefined: not looked for. */
        readonly hasTokenizer?: boolean;
        /** `hidden_size` of config.json. */
        readonly hiddenSize?: number;
    }
    | { readonly state: 'refused'; readonly folder: string; readonly code: CheckpointErrorCode; readonly message: string };

export interface FileFact {
    readonly kind: 'missing' | 'file' | 'folder';
    /** With symbolic links resolved; the path itself when it does not exist. */
    readonly realPath: string;
    /** Of something missing: it is a link to nowhere. */
    readonly dangling?: boolean;
    /** Of something missing: the nearest folder above it, when nothing can be made there. */
    readonly blocked?: { readonly parent: string; readonly reason: 'is not a folder' | 'cannot be written' };
    /** Of a file: whether it holds any text, or what is wrong in which line before the first text; undefined: not known. */
    readonly text: 'some' | 'none' | { readonly broken: string } | undefined;
    /** Of a file: its bytes. */
    readonly bytes?: number;
    /** Of a file of JSON lines: the fields of the first one. */
    readonly fields?: readonly string[];
    /** Of a file: how many lines it has. */
    readonly lines?: LineCount;
    /** Of a folder. */
    readonly data?: FolderData;
}

export interface LineCount {
    readonly count: number;
    /** Otherwise it is that of the part that was read, counted up. */
    readonly isExact: boolean;
}

/** What a folder has of data: files that can be read, or what a folder of the `datasets` library says of itself. */
export interface FolderData {
    /** The first file of JSON lines, else of text. */
    readonly file: string | undefined;
    readonly isDataset: boolean;
    readonly rows: number | undefined;
    readonly columns: readonly string[];
    /** Folders of the parts that a dataset has. */
    readonly splits: readonly string[];
}

/** The disk on which something is, or would be. */
export interface DiskFact {
    /** The same text for the same disk. */
    readonly device: string;
    readonly free: number;
}

export interface LastResult {
    readonly result: Result;
    /** Text of the recipe that ran; undefined when the run kept no copy. */
    readonly ran: string | undefined;
    /** Absolute path of the run's folder, where it is known. */
    readonly folder?: string;
}

export const RUNS = 'runs';
export const NO_FACTS: Facts = { checkpoints: new Map(), files: new Map(), result: undefined, running: undefined };

/** The paths that a recipe names, as written. */
export interface NamedPaths {
    readonly checkpoints: readonly string[];
    /** Data files. */
    readonly data: readonly string[];
    /** With the numbered names beside each. */
    readonly outputs: readonly string[];
}

export function namedPaths(recipe: Recipe): NamedPaths {
    const of = (format: string): string[] => [...new Set(placesWithFormat(recipe, format).map(({ text }) => text))];
    return { checkpoints: of('checkpoint'), data: of('path'), outputs: of('output').flatMap((output) => [output, ...numberedOutputs(output)]) };
}

/** Names to go on with when an output folder exists: `out-2`, `out-3` … */
export function numberedOutputs(output: string): string[] {
    const base = output.replace(/\/+$/, '').replace(/-\d+$/, '');
    return Array.from({ length: 12 }, (_, index) => `${base}-${index + 2}`).filter((name) => name !== output);
}

/** Non-empty texts whose schema marks them with `format`; first those that no syntax error makes doubtful. */
export function placesWithFormat(recipe: Recipe, format: string): readonly Place[] {
    let formats = known.get(recipe);
    if (!formats) known.set(recipe, (formats = new Map<string, readonly Place[]>()));
    let places = formats.get(format);
    if (!places) formats.set(format, (places = findPlaces(recipe, format)));
    return places;
}

/** A recipe is parsed anew after each edit. */
const known = new WeakMap<Recipe, Map<string, readonly Place[]>>();

function findPlaces(recipe: Recipe, format: string): Place[] {
    const sound = soundPart(recipe).recipe;
    const places = sound === recipe ? recipe.places : [...new Set([...sound.places, ...recipe.places])];
    const texts = places.filter((place) => place.slot?.format === format && place.kind === 'text' && place.value !== '');
    return sound === recipe ? texts : texts.filter(({ span }, index) => texts.findIndex((other) => other.span.start === span.start) === index);
}

/** Where the recipe names the checkpoint that it is about. */
export function modelPlace(recipe: Recipe): Place | undefined {
    return placesWithFormat(recipe, 'checkpoint')[0];
}

/** What that checkpoint says, if it has been read. */
export function modelFact(recipe: Recipe, facts: Facts): Extract<CheckpointFact, { readonly state: 'read' }> | undefined {
    const place = modelPlace(recipe);
    const fact = place && facts.checkpoints.get(place.text);
    return fact?.state === 'read' ? fact : undefined;
}

/** Its header. */
export function modelHeader(recipe: Recipe, facts: Facts): CheckpointHeader | undefined {
    return modelFact(recipe, facts)?.header;
}
