// Changing a recipe by keyboard, and reading what the editor has to say about it.
import { readFileSync } from 'node:fs';
import { until, type Workbench, type Workspace } from '../../rig';

/** Small numbers of samples: what is tested here does not depend on them, and a run takes seconds. */
export const quick = { samples: 8, tokens: 64 };

let recipes = 0;

/** Writes a recipe of the sample that is run in seconds; its output is output/NAME. Each has tokens of its own, so that no run takes what another has measured. */
export function writeRecipe(workspace: Workspace, name: string, model = 'checkpoints/tiny-llama-pydoc'): void {
    recipes += 1;
    workspace.write(`${name}.quant.yaml`, `model: ${model}
calibration: { data: calibration.jsonl, samples: ${quick.samples}, sequence_length: ${quick.tokens}, seed: ${recipes} }
candidates: [rtn-w4a16, gptq-w4a16, rtn-w3a16]
quantize: { default: gptq-w4a16 }
evaluate: { data: held-out.txt, samples: ${quick.samples}, sequence_length: ${quick.tokens} }
output: output/${name}
`);
}

/** The number (from 1) of the n-th line of a saved file that begins with some text. */
export function lineOf(file: string, start: string, nth = 1): number {
    const lines = readFileSync(file, 'utf8').split('\n');
    const found = lines.flatMap((line, index) => (line.trimStart().startsWith(start) ? [index + 1] : []))[nth - 1];
    if (found === undefined) throw new Error(`${file} has no line ${nth} that begins with “${start}”.`);
    return found;
}

/** Replaces a line of the recipe in the active editor, its indentation included, and saves. */
export async function typeOver(workbench: Workbench, file: string, line: number, text: string): Promise<void> {
    await workbench.editor.goTo(line);
    await workbench.page.keyboard.press('Shift+End');
    await workbench.editor.insert(text);
    await save(workbench, file, (saved) => saved.split('\n')[line - 1] === text);
}

/** Saves by keyboard, and waits until the file on disk is as it should be. */
export async function save(workbench: Workbench, file: string, isRight: (saved: string) => boolean): Promise<void> {
    await workbench.page.keyboard.press('Control+s');
    await until(`${file} to be saved`, () => {
        const saved = readFileSync(file, 'utf8');
        return isRight(saved) || Promise.reject(new Error(saved));
    });
}

/** What the Problems panel lists. */
export async function problems(workbench: Workbench): Promise<string[]> {
    const panel = workbench.page.locator('.markers-panel');
    if (!(await panel.isVisible())) await workbench.command('Problems: Focus on Problems View');
    await panel.waitFor();
    const rows = panel.locator('.monaco-list-row .monaco-tl-contents');
    return (await rows.allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' ').replaceAll('\n', ' '));
}

export async function waitForProblem(workbench: Workbench, text: RegExp): Promise<string> {
    return until(`the problem ${String(text)}`, async () => {
        const listed = await problems(workbench);
        return listed.find((row) => text.test(row)) ?? Promise.reject(new Error(listed.join(' | ') || 'no problem'));
    });
}

/** Ctrl+. at the cursor, and the fix with this title by mouse. */
export async function fix(workbench: Workbench, title: RegExp): Promise<void> {
    const menu = workbench.page.locator('.action-widget:not(.action-list-submenu-panel)');
    await until(`the fix ${String(title)}`, async () => {
        if (!(await menu.isVisible())) await workbench.page.keyboard.press('Control+.');
        await menu.waitFor({ timeout: 2000 });
        const item = menu.locator('.monaco-list-row').filter({ hasText: title }).first();
        await item.waitFor({ timeout: 1000 });
        await item.click({ timeout: 1000 });
        return true;
    });
    await menu.waitFor({ state: 'hidden' });
}
