// `npm run screenshots`: the pictures of the documentation, and those of what helps while writing (out/pictures), taken from the real workbench on a real run of the sample.
//   npm run screenshots [-- --only panel,recipe]
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { misspell, openPattern, openRecipe, showCompletion, showFix, showFixes, showHints, showHoverOn } from './lib/editing-scenes.mjs';
import { environment, root, venvPython } from './lib/paths.mjs';
import { setUpOrExit } from './setup.mjs';

/**
 * @typedef {import('../test/rig/index').Workbench} Workbench
 * @typedef {import('../test/rig/index').Theme} Theme
 *
 * @typedef {object} Scene Pictures are named NAME.png, or NAME-THEME.png where there are several.
 * @property {string} name
 * @property {Theme[]} themes
 * @property {{ width: number, height: number }} viewport as small as the scene allows: the pictures are part of the repository
 * @property {Record<string, unknown>} [settings]
 * @property {string} [folder] of the pictures; docs/images when absent
 * @property {(workbench: Workbench) => Promise<void>} show brings an opened workbench there
 * @property {(workbench: Workbench) => Promise<void>} [refresh] what a change of the theme puts away
 */

/** @type {Partial<Record<Theme, string>>} */
const short = { 'Light Modern': 'light', 'Dark Modern': 'dark', 'Default High Contrast': 'high-contrast' };
const allThemes = /** @type {Theme[]} */ (Object.keys(short));

/** @type {Scene[]} */
const scenes = [
    { name: 'panel', themes: allThemes, viewport: { width: 1400, height: 670 }, settings: { 'workbench.activityBar.location': 'hidden' }, show: showPanel },
    { name: 'recipe', themes: allThemes, viewport: { width: 1200, height: 540 }, settings: { 'workbench.activityBar.location': 'hidden' }, show: misspell, refresh: showFix },
    editing('completion', openPattern, showCompletion),
    editing('hints', openRecipe, showHints),
    editing('hover-model', openRecipe, showHoverOn('checkpoints/')),
    editing('hover-pattern', openRecipe, showHoverOn('*.mlp.')),
    editing('hover-method', openRecipe, showHoverOn('gptq, scheme')),
    editing('hover-key', openRecipe, showHoverOn('default:')),
    editing('fixes', misspell, showFixes),
    { name: 'wizard', themes: ['Dark Modern'], viewport: { width: 1100, height: 560 }, show: showWizard },
    { name: 'runs', themes: ['Dark Modern'], viewport: { width: 1100, height: 520 }, show: showRuns },
];

/**
 * To be looked at, not part of the documentation.
 * @param {string} name
 * @param {Scene['show']} show
 * @param {Scene['show']} refresh
 * @returns {Scene}
 */
function editing(name, show, refresh) {
    return { name, themes: allThemes, viewport: { width: 1100, height: 620 }, settings: { 'workbench.activityBar.location': 'hidden' }, folder: 'out/pictures', show, refresh };
}

/** @param {Workbench} workbench */
async function showPanel(workbench) {
    await workbench.page.keyboard.press('Control+b');
    await workbench.openFile('mixed.quant.yaml');
    await workbench.editor.lenses().filter({ hasText: 'Show last result' }).click();
    const map = workbench.panels.only.locator('quant-heat-map');
    await map.waitFor();
    // The recipe needs less room than the map beside it.
    const { mouse } = workbench.page;
    const beside = await workbench.page.locator('.editor-group-container').last().boundingBox();
    if (!beside) throw new Error('The panel does not stand beside the recipe.');
    await mouse.move(beside.x, 400);
    await mouse.down();
    await mouse.move(385, 400, { steps: 5 });
    await mouse.up();
    await mouse.move(700, 20);
}

/** @param {Workbench} workbench */
async function showWizard(workbench) {
    await workbench.explorer.expand('checkpoints');
    await workbench.explorer.choose('tiny-llama-pydoc', 'Quantize…');
    await workbench.quick.asked('What should the sensitivity panel compare');
}

/** @param {Workbench} workbench */
async function showRuns(workbench) {
    const { page } = workbench;
    await workbench.openFile('w3.quant.yaml');
    await page.locator('.activitybar [aria-label^="Quant Workbench"]').first().click();
    await workbench.command('Quant: Run Recipe');
    const row = page.locator('[id="workbench.view.extension.quant"] .monaco-list-row').filter({ hasText: /w3.*quantize \d\/\d/ });
    await row.waitFor({ timeout: 180_000 });
    await row.hover();
}

/**
 * A finished run of a sample recipe, as a person makes it on the command line.
 * @param {string} folder
 * @param {string} recipe
 * @returns {Promise<void>}
 */
async function runRecipe(folder, recipe) {
    const args = ['-m', 'quant_engine', 'run', recipe];
    const child = spawn(venvPython, args, { cwd: folder, env: environment({ PYTHONPATH: path.join(root, 'engine') }), stdio: ['ignore', 'ignore', 'inherit'] });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`The run of ${recipe} ended with code ${code}.`);
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const only = values.only?.split(',');
await setUpOrExit('npm', 'python', 'vscode', 'chromium');
const { build, buildTests } = await import('./build.mjs');
await build();
await buildTests();
/** @type {typeof import('../test/rig/index')} */
const rig = await import(pathToFileURL(path.join(root, 'out', 'rig', 'index.mjs')).href);

const usualSettings = {
    'editor.minimap.enabled': false, 'files.exclude': { '**/.vscode': true }, 'window.commandCenter': false, 'window.title': 'Quant Workbench',
    'editor.fontSize': 12, 'editor.wordWrap': 'on', 'breadcrumbs.enabled': false, 'editor.stickyScroll.enabled': false,
};
const workspace = rig.copyWorkspace(rig.samples);
const written = readFileSync(workspace.path('mixed.quant.yaml'), 'utf8');
try {
    await runRecipe(workspace.folder, 'mixed.quant.yaml');
    for (const { name, themes, viewport, folder = 'docs/images', show, refresh, settings = {} } of scenes.filter((scene) => !only || only.includes(scene.name))) {
        // The editor saves by itself what a scene has typed.
        workspace.write('mixed.quant.yaml', written);
        await rig.withWorkbench({ workspace, viewport, settings: { ...usualSettings, ...settings } }, async (workbench) => {
            await workbench.theme(themes[0] ?? 'Light Modern');
            await show(workbench);
            for (const theme of themes) {
                if (themes.length > 1) await workbench.theme(theme);
                await refresh?.(workbench);
                const file = themes.length > 1 ? `${name}-${short[theme]}.png` : `${name}.png`;
                console.log(path.relative(root, await workbench.screenshot(path.join(folder, file))));
            }
        });
    }
} finally {
    workspace.remove();
}
process.exit(0);
