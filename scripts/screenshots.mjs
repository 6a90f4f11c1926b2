// `npm run screenshots`: the pictures of the documentation, taken from the real workbench in three themes.
//   npm run screenshots [-- --only recipe]
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { root } from './lib/paths.mjs';
import { setUpOrExit } from './setup.mjs';

/** @typedef {import('../test/rig/index').Workbench} Workbench */

/**
 * What is on a picture: each scene brings the workbench there; pictures are named <scene>-<theme>.png. Scenes follow one
 * another in the same workbench.
 * @type {{ name: string, show: (workbench: Workbench) => Promise<void> }[]}
 */
const scenes = [
    {
        name: 'recipe',
        show: async (workbench) => {
            await workbench.openFile('mixed.quant.yaml');
            await workbench.editor.waitForMode('Quant Recipe');
        },
    },
];

/** @type {[import('../test/rig/index').Theme, string][]} */
const themes = [['Light Modern', 'light'], ['Dark Modern', 'dark'], ['Default High Contrast', 'high-contrast']];

const { values } = parseArgs({ options: { only: { type: 'string' } } });
await setUpOrExit('npm', 'python', 'vscode', 'chromium');
const { build, buildTests } = await import('./build.mjs');
await build();
await buildTests();
/** @type {typeof import('../test/rig/index')} */
const rig = await import(pathToFileURL(path.join(root, 'out', 'rig', 'index.mjs')).href);

const settings = { 'editor.minimap.enabled': false, 'files.exclude': { '**/.vscode': true }, 'window.commandCenter': false };
await rig.withWorkbench({ viewport: { width: 1280, height: 800 }, settings }, async (workbench) => {
    for (const scene of scenes.filter(({ name }) => !values.only || values.only === name)) {
        await workbench.theme('Light Modern');
        await scene.show(workbench);
        for (const [theme, short] of themes) {
            await workbench.theme(theme);
            console.log(path.relative(root, await workbench.screenshot(`docs/images/${scene.name}-${short}.png`)));
        }
    }
});
process.exit(0);
