// The text editor as it is on the screen: text, squiggles, language mode, decorations.
import type { Locator, Page } from 'playwright-core';
import type { QuickInput } from './quick-input';
import { until } from './wait';

export class Editor {
    constructor(private readonly page: Page, private readonly quick: QuickInput) {}

    /** The active text editor. */
    get area(): Locator {
        return this.page.locator('.editor-group-container.active .editor-instance .monaco-editor').first();
    }

    /** Waits until a file is the active editor. */
    async shown(name: string): Promise<void> {
        await this.page.locator('.editor-group-container.active .tab.active').filter({ hasText: name }).waitFor();
        await this.area.locator('.view-line').first().waitFor();
    }

    /** The visible lines, hints and lenses included, with plain spaces. */
    async text(): Promise<string> {
        const lines = await this.area.locator('.view-line').evaluateAll((nodes) =>
            nodes
                .map((node) => ({ top: Number.parseFloat((node as HTMLElement).style.top), text: node.textContent ?? '' }))
                .sort((a, b) => a.top - b.top)
                .map((line) => line.text));
        return lines.join('\n').replaceAll('\u00a0', ' ');
    }

    line(text: string): Locator {
        return this.area.locator('.view-line').filter({ hasText: text }).first();
    }

    squiggles(severity: 'error' | 'warning' | 'info' | 'hint' = 'error'): Locator {
        return this.area.locator(`.squiggly-${severity}`);
    }

    lenses(): Locator {
        return this.area.locator('.codelens-decoration a');
    }

    /** The language in the status bar. */
    async mode(): Promise<string> {
        return (await this.page.locator('#status\\.editor\\.mode').innerText()).trim();
    }

    async waitForMode(mode: string): Promise<void> {
        await until(`the language mode ${mode}`, async () => (await this.mode()) === mode);
    }

    /** Puts the cursor at a line and column (from 1) and the focus into the editor. */
    async goTo(line: number, column = 1): Promise<void> {
        // In the margin: above the first line are lenses, and a click runs them.
        await this.area.click({ position: { x: 12, y: 10 } });
        await this.page.keyboard.press('Control+g');
        await this.quick.input.fill(`:${line}:${column}`);
        await this.quick.accept();
        await this.quick.widget.waitFor({ state: 'hidden' });
    }

    /** Types at the cursor as it is, without completion or automatic indentation getting in between. */
    async insert(text: string): Promise<void> {
        await this.page.keyboard.insertText(text);
    }

    async save(): Promise<void> {
        await this.page.keyboard.press('Control+s');
        await until('the file to be saved', async () => (await this.page.locator('.editor-group-container.active .tab.active.dirty').count()) === 0);
    }

    /** The text of the hover that a word or symbol shows. */
    async hover(text: string): Promise<string> {
        const word = this.line(text).getByText(text).first();
        await word.hover();
        const hover = this.page.locator('.monaco-hover:not(.hidden) .monaco-hover-content').first();
        await hover.waitFor();
        return hover.innerText();
    }

    /** Opens completion at the cursor; the labels in its list. */
    async complete(): Promise<string[]> {
        const widget = this.page.locator('.suggest-widget.visible');
        await until('completion', async () => {
            if (!(await widget.isVisible())) await this.page.keyboard.press('Control+Space');
            await widget.locator('.monaco-list-row').first().waitFor({ timeout: 3000 });
            return true;
        });
        return (await widget.locator('.monaco-list-row .label-name').allInnerTexts()).map((label) => label.trim());
    }
}
