// The quick input box: palette, quick open, and the questions an extension asks.
import type { Locator, Page } from 'playwright-core';
import { until } from './wait';

/** The label of a row; the row below it, where there is one, is its detail. */
const label = '.quick-input-list-row:first-child .label-name';

export class QuickInput {
    constructor(private readonly page: Page) {}

    get widget(): Locator {
        return this.page.locator('.quick-input-widget');
    }

    get input(): Locator {
        return this.widget.locator('.quick-input-box input');
    }

    rows(): Locator {
        return this.widget.locator('.quick-input-list .monaco-list-row');
    }

    /** The labels of the visible rows. */
    async labels(): Promise<string[]> {
        await this.rows().first().waitFor();
        return (await this.rows().locator(label).allInnerTexts()).map((text) => text.trim());
    }

    /** Waits for a question whose title or placeholder contains a text. */
    async asked(text: string | RegExp): Promise<void> {
        await until(`the question ${String(text)}`, async () => {
            if (!(await this.widget.isVisible())) return false;
            const title = await this.widget.locator('.quick-input-title').innerText();
            const placeholder = (await this.input.getAttribute('placeholder')) ?? '';
            const message = await this.widget.locator('.quick-input-message').innerText().catch(() => '');
            const whole = `${title}\n${placeholder}\n${message}`;
            return typeof text === 'string' ? whole.includes(text) : text.test(whole);
        });
    }

    row(text: string | RegExp): Locator {
        return this.rows().filter({ has: this.page.locator(label).filter({ hasText: text }) }).first();
    }

    /** Chooses one row. */
    async pick(text: string | RegExp): Promise<void> {
        const row = this.row(text);
        await row.waitFor();
        await row.click();
    }

    /** Sets the ticks of a question with several answers to exactly these labels, and accepts. Rows out of sight do not exist, so each is looked for. */
    async pickMany(labels: string[]): Promise<void> {
        await this.rows().first().waitFor();
        const ticked = this.widget.locator('.quick-input-count');
        await until('no row to be ticked', async () => {
            if ((await ticked.innerText()).startsWith('0')) return true;
            await this.widget.locator('.quick-input-header > .monaco-checkbox').click();
            return false;
        });
        for (const [index, text] of labels.entries()) {
            await this.input.fill(text);
            await this.exact(text).locator('.monaco-checkbox, .quick-input-list-checkbox').first().click();
            await until(`${text} to be ticked`, async () => (await ticked.innerText()).startsWith(String(index + 1)));
        }
        await this.input.fill('');
        await this.accept();
    }

    /** Types an answer and accepts it. */
    async answer(text: string): Promise<void> {
        await this.input.fill(text);
        await this.accept();
    }

    async accept(): Promise<void> {
        await this.input.press('Enter');
    }

    async cancel(): Promise<void> {
        await this.input.press('Escape');
        await this.widget.waitFor({ state: 'hidden' });
    }

    private async open(filter: string): Promise<void> {
        await until('the palette', async () => {
            if (!(await this.widget.isVisible())) await this.page.keyboard.press('F1');
            await this.input.waitFor({ timeout: 2000 });
            return true;
        });
        await this.input.fill(filter);
    }

    /** Runs a command by its title; looks again while it is not there yet. */
    async command(title: string, timeout = 60_000): Promise<void> {
        await until(`the command ${title}`, async () => {
            await this.open(`>${title}`);
            const row = this.exact(title);
            try {
                await row.waitFor({ timeout: 1500 });
            } catch {
                await this.cancel();
                return false;
            }
            // A notification or a busy editor may take the focus, and with it the palette: then it is opened again.
            await row.click({ timeout: 5000 });
            return true;
        }, timeout);
    }

    async hasCommand(title: string): Promise<boolean> {
        await this.open(`>${title}`);
        await this.rows().first().waitFor();
        const found = await this.exact(title).count() > 0;
        await this.cancel();
        return found;
    }

    async openFile(file: string): Promise<void> {
        const name = file.split('/').at(-1) ?? file;
        await until(`the file ${file} in quick open`, async () => {
            await this.open(file);
            const row = this.row(name);
            try {
                await row.waitFor({ timeout: 2000 });
            } catch {
                await this.cancel();
                return false;
            }
            await row.click({ timeout: 5000 });
            return true;
        });
        await this.widget.waitFor({ state: 'hidden' });
    }

    private exact(title: string): Locator {
        return this.rows().filter({ has: this.page.locator(label).getByText(title, { exact: true }) }).first();
    }
}
