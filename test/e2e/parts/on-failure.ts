import path from 'node:path';
import type { Context } from 'mocha';
import { root, type Workbench } from '../../rig';

/** For `afterEach`: what the window looked like when a test failed, in out/results. */
export async function keepPicture(test: Context, workbench: Workbench | undefined): Promise<void> {
    if (test.currentTest?.state !== 'failed' || !workbench) return;
    const name = test.currentTest.fullTitle().replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 80);
    // What was said and has faded away is seen there.
    await workbench.command('Notifications: Show Notifications').catch(() => undefined);
    const file = await workbench.screenshot(path.join(root, 'out', 'results', `${name}.png`));
    console.log(`      picture: ${path.relative(root, file)}`);
}
