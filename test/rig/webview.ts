// Webview panels: the frame in which our own page lives.
import type { Frame, FrameLocator, Locator, Page } from 'playwright-core';
import { until } from './wait';

export class Panels {
    constructor(private readonly page: Page) {}

    /** The only visible panel. Shadow roots are seen through by locators. */
    get only(): FrameLocator {
        return this.page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
    }

    /** The inner frames of all panels. */
    async frames(): Promise<Frame[]> {
        const found: Frame[] = [];
        for (const frame of this.page.frames()) {
            if (!frame.url().includes('fake.html') || frame.isDetached()) continue;
            const element = await frame.frameElement().catch(() => undefined);
            if ((await element?.getAttribute('id')) === 'active-frame') found.push(frame);
        }
        return found;
    }

    /** Of several visible panels, the one that contains a selector. */
    async with(selector: string): Promise<Frame> {
        return until(`a panel with ${selector}`, async () => {
            for (const frame of await this.frames()) if (await frame.locator(selector).count()) return frame;
            return undefined;
        });
    }

    /** The tab of a panel or editor. */
    tab(title: string | RegExp): Locator {
        return this.page.locator('.tabs-container .tab').filter({ hasText: title });
    }
}
