// The file explorer: rows by name, and their context menus.
import type { Locator, Page } from 'playwright-core';
import { until } from './wait';

export class Explorer {
    constructor(private readonly page: Page) {}

    /** The row with this exact name (of several, the first). */
    row(name: string): Locator {
        return this.page.locator('.explorer-folders-view').getByRole('treeitem', { name, exact: true }).first();
    }

    /** Unfolds folders one inside the other: `expand('checkpoints', 'tiny-llama')`. */
    async expand(...names: string[]): Promise<void> {
        for (const name of names) {
            const row = this.row(name);
            await row.waitFor();
            if ((await row.getAttribute('aria-expanded')) === 'false') await row.click();
            await until(`${name} to unfold`, async () => (await row.getAttribute('aria-expanded')) === 'true');
        }
    }

    /** Right-clicks a row and returns the titles in its menu. The menu stays open. */
    async openMenu(name: string): Promise<string[]> {
        // The hover of a row, which appears while the mouse rests on it, would cover the next one.
        const { width, height } = this.page.viewportSize() ?? { width: 0, height: 0 };
        await this.page.mouse.move(width / 2, height / 2);
        await this.row(name).click({ button: 'right' });
        const items = this.menuItems();
        await items.first().waitFor();
        return (await items.locator('.action-label').allInnerTexts()).map((title) => title.trim()).filter((title) => title !== '');
    }

    async closeMenu(): Promise<void> {
        await this.page.keyboard.press('Escape');
        await this.page.locator('.context-view .monaco-menu').waitFor({ state: 'hidden' });
    }

    /** The titles in a row's context menu. */
    async menu(name: string): Promise<string[]> {
        const titles = await this.openMenu(name);
        await this.closeMenu();
        return titles;
    }

    /** Chooses an item of a row's menu. A menu is made when it opens, so look again until the item is there. */
    async choose(name: string, title: string, timeout = 60_000): Promise<void> {
        await until(`“${title}” in the menu of ${name}`, async () => {
            const titles = await this.openMenu(name);
            if (titles.includes(title)) return true;
            await this.closeMenu();
            return false;
        }, timeout);
        // In its first tenth of a second a menu ignores the mouse (it may be the click that opened it).
        const item = this.menuItems().filter({ has: this.page.getByText(title, { exact: true }) }).first();
        await until('the menu to close', async () => {
            if (await item.isVisible()) await item.click();
            await this.page.locator('.context-view .monaco-menu').waitFor({ state: 'hidden', timeout: 500 });
            return true;
        });
    }

    private menuItems(): Locator {
        return this.page.locator('.context-view .monaco-menu .action-item');
    }
}
