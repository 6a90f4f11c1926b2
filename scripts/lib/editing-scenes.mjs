// What the editor shows while one writes a recipe, as scenes of `npm run screenshots`.
import { readFileSync } from 'node:fs';

/** @typedef {import('../../test/rig/index').Workbench} Workbench */

const recipe = 'mixed.quant.yaml';

/** @param {Workbench} workbench */
export async function openRecipe(workbench) {
    await workbench.page.keyboard.press('Control+b');
    await workbench.openFile(recipe);
}

/**
 * Line and column (from 1) of a text in the recipe as it is on disk.
 * @param {Workbench} workbench
 * @param {string} text
 * @returns {[number, number]}
 */
function placeOf(workbench, text) {
    const lines = readFileSync(workbench.workspace.path(recipe), 'utf8').split('\n');
    const line = lines.findIndex((one) => one.includes(text));
    return [line + 1, (lines[line]?.indexOf(text) ?? 0) + 1];
}

/**
 * A pattern that matches no layer, and what the editor says about it.
 * @param {Workbench} workbench
 */
export async function misspell(workbench) {
    await openRecipe(workbench);
    const [line, column] = placeOf(workbench, '_proj"');
    await workbench.editor.goTo(line, column);
    await workbench.page.keyboard.press('Backspace');
    await workbench.editor.squiggles('warning').first().waitFor();
}

/** @param {Workbench} workbench */
export async function showFix(workbench) {
    await workbench.command('Show or Focus Hover');
    // The fix is the last thing to arrive.
    await workbench.page.locator('.monaco-hover:not(.hidden)').getByText('Quick Fix').waitFor();
}

/** @param {Workbench} workbench */
export async function showFixes(workbench) {
    const { page } = workbench;
    // What a fix opens beside itself is such a widget, too.
    const menu = page.locator('.action-widget:not(.action-list-submenu-panel)');
    await page.keyboard.press('Escape');
    await workbench.editor.area.locator('textarea, .native-edit-context').first().focus();
    await workbench.waitFor('the menu of fixes', async () => {
        if (!(await menu.isVisible())) await page.keyboard.press('Control+.');
        await menu.locator('.monaco-list-row').first().waitFor({ timeout: 3000 });
        return true;
    });
}

/**
 * Leaves a rule's pattern with its first levels alone.
 * @param {Workbench} workbench
 */
export async function openPattern(workbench) {
    const { editor, page } = workbench;
    await openRecipe(workbench);
    const [line, column] = placeOf(workbench, '*.mlp.down_proj"');
    await editor.goTo(line, column);
    for (let left = '*.mlp.down_proj'.length; left > 0; left--) await page.keyboard.press('Delete');
    await editor.insert('model.layers.*.');
}

/** @param {Workbench} workbench */
export async function showCompletion(workbench) {
    const { page, editor } = workbench;
    await page.keyboard.press('Escape');
    await editor.complete();
    // The documentation of the first item, unless it is shown already.
    const details = page.locator('.suggest-details-container');
    if (!(await details.isVisible())) await page.keyboard.press('Control+Space');
    await details.waitFor();
    await workbench.waitFor('the documentation of the item', async () => !/Loading/.test(await details.innerText()));
}

/**
 * @param {string} text where the hover is
 * @returns {(workbench: Workbench) => Promise<void>}
 */
export function showHoverOn(text) {
    return async (workbench) => {
        const [line, column] = placeOf(workbench, text);
        await workbench.page.keyboard.press('Escape');
        await workbench.editor.goTo(line, column + 2);
        await workbench.command('Show or Focus Hover');
        await workbench.page.locator('.monaco-hover:not(.hidden) .monaco-hover-content').first().waitFor();
        await workbench.waitFor('the hover to be complete', async () => !/Loading/.test(await workbench.page.locator('.monaco-hover:not(.hidden)').first().innerText()));
    };
}

/** @param {Workbench} workbench */
export async function showHints(workbench) {
    // Diagnostics and lenses come later than hints.
    await workbench.editor.lenses().filter({ hasText: 'Show last result' }).waitFor();
    await workbench.waitFor('the hints of the last run', async () => /dB/.test(await workbench.editor.text()));
}
