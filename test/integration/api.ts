import path from 'node:path';
import * as vscode from 'vscode';
import type { WorkbenchApi } from '../../src/workbench';
import { until as untilSoon } from '../helpers/wait';

export { alive } from '../helpers/wait';

/** What the activated extension offers to tests, once the workspace was searched. */
export async function workbenchApi(): Promise<WorkbenchApi> {
    const extension = vscode.extensions.getExtension<WorkbenchApi>('quant-workbench.quant-workbench');
    if (!extension) throw new Error('VS Code does not know the extension');
    const api = await extension.activate();
    await api.searched;
    return api;
}

/** A path in the workspace that the suite was opened on: a copy of the samples. */
export function inWorkspace(...parts: string[]): string {
    const folder = vscode.workspace.workspaceFolders?.[0];
    if (!folder) throw new Error('the suite needs a workspace');
    return path.join(folder.uri.fsPath, ...parts);
}

export const CHECKPOINT = 'tiny-llama-pydoc';

/** As long as an editor, an engine and torch may need. */
export function until<T>(what: string | (() => string), ask: () => T | Promise<T>, timeout = 180_000): Promise<NonNullable<T>> {
    return untilSoon(what, ask, timeout);
}

interface RecipeOptions {
    readonly samples?: number;
    readonly sequenceLength?: number;
    readonly evaluate?: boolean;
    readonly calibration?: string;
}

/** A recipe for the sample checkpoint that takes seconds. */
export function recipeFor(name: string, { samples = 8, sequenceLength = 64, evaluate = false, calibration = 'calibration.jsonl' }: RecipeOptions = {}): string {
    const evaluation = evaluate ? `evaluate: { data: held-out.txt, samples: 4, sequence_length: ${sequenceLength} }\n` : '';
    return `model: checkpoints/${CHECKPOINT}
calibration: { data: ${calibration}, samples: ${samples}, sequence_length: ${sequenceLength}, seed: 0 }
candidates: [rtn-w4a16, rtn-w3a16]
quantize:
  default: rtn-w4a16
${evaluation}output: output/${name}
`;
}
