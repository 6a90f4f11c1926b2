import type { Workbench, Workspace } from '../../rig';
import { keepPicture } from './on-failure';
import { endRuns } from './run-on-disk';

/** What tests have opened; nothing of it where that failed. */
export interface Opened {
    readonly workbench?: Workbench;
    /** One that the tests made themselves. */
    readonly workspace?: Workspace;
}

/** For a `describe` with one window: a picture of it after a test that failed, and at the end neither runs nor window nor workspace are left. */
export function cleanUp(opened: () => Opened): void {
    afterEach(async function () {
        await keepPicture(this, opened().workbench);
    });
    after(async () => {
        const { workbench, workspace } = opened();
        const used = workspace ?? workbench?.workspace;
        // A workspace of the window's own goes with it, and with that what tells of its runs.
        if (used) endRuns(used);
        await workbench?.close();
        workspace?.remove();
    });
}
