// The Runs view, as it is on the screen.
import type { Locator } from 'playwright-core';
import { until, type Workbench } from '../../rig';

export class RunsView {
    constructor(private readonly workbench: Workbench) {}

    private get view(): Locator {
        return this.workbench.page.locator('[id="workbench.view.extension.quant"]');
    }

    /** Opened by mouse, in the activity bar. */
    async open(): Promise<void> {
        const tab = this.workbench.page.locator('.activitybar .action-item').filter({ has: this.workbench.page.locator('[aria-label^="Quant Workbench"]') });
        if (!(await this.view.isVisible())) await tab.click();
        await this.view.waitFor();
    }

    rows(): Locator {
        return this.view.locator('.monaco-list-row');
    }

    row(name: string): Locator {
        return this.rows().filter({ has: this.workbench.page.locator('.label-name').getByText(name, { exact: true }) }).first();
    }

    /** State and progress of a run: what stands behind its name. */
    async status(name: string): Promise<string> {
        return (await this.row(name).locator('.label-description').innerText()).replaceAll('\u00a0', ' ');
    }

    async waitForStatus(name: string, status: RegExp, timeout?: number): Promise<string> {
        return until(`${name} with ${String(status)} in the Runs view`, async () => {
            const text = await this.status(name);
            return status.test(text) ? text : Promise.reject(new Error(text));
        }, timeout);
    }

    /** Clicks an action that a row shows when the mouse is over it. */
    async act(name: string, action: string): Promise<void> {
        const row = this.row(name);
        await row.hover();
        await row.locator(`.action-label[aria-label^="${action}"]`).click();
    }

    /** The titles in a row's context menu. */
    async menu(name: string): Promise<string[]> {
        await this.row(name).click({ button: 'right' });
        const items = this.menuItems();
        await items.first().waitFor();
        const titles = await items.locator('.action-label').allInnerTexts();
        await this.workbench.page.keyboard.press('Escape');
        await items.first().waitFor({ state: 'hidden' });
        return titles.map((title) => title.trim());
    }

    async choose(name: string, title: string): Promise<void> {
        await until(`“${title}” in the menu of ${name}`, async () => {
            await this.row(name).click({ button: 'right' });
            const item = this.menuItems().filter({ has: this.workbench.page.getByText(title, { exact: true }) }).first();
            await item.waitFor({ timeout: 2000 });
            // In its first tenth of a second a menu ignores the mouse.
            await until('the menu to close', async () => {
                if (await item.isVisible()) await item.click();
                await item.waitFor({ state: 'hidden', timeout: 500 });
                return true;
            });
            return true;
        });
    }

    private menuItems(): Locator {
        return this.workbench.page.locator('.context-view .monaco-menu .action-item');
    }

    /** The actions that a row shows when the mouse is over it. */
    async actions(name: string): Promise<string[]> {
        const row = this.row(name);
        await row.hover();
        const labels = row.locator('.action-label');
        await labels.first().waitFor();
        return Promise.all((await labels.all()).map(async (label) => (await label.getAttribute('aria-label')) ?? ''));
    }
}
