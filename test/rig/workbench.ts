// The real VS Code workbench in Chromium: opened on a copy of a workspace, driven like a user does, always cleaned up.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium, type Browser, type BrowserContext, type ConsoleMessage, type Locator, type Page } from 'playwright-core';
import { root } from '../../scripts/lib/paths.mjs';
import { setUpChromium } from '../../scripts/lib/setup-chromium.mjs';
import { startServer, type Server, type ServerOptions } from '../../scripts/lib/vscode-server.mjs';
import { Editor } from './editor';
import { Explorer } from './explorer';
import { QuickInput } from './quick-input';
import { until } from './wait';
import { Panels } from './webview';
import { copyWorkspace, samples, type Workspace } from './workspace';

export const themes = ['Light Modern', 'Dark Modern', 'Default High Contrast', 'Default High Contrast Light'] as const;
export type Theme = (typeof themes)[number];

export interface WorkbenchOptions extends ServerOptions {
    /** Copied before it is opened; the samples when absent, an empty folder when `null`. */
    source?: string | null;
    /** A workspace made by the caller, who also removes it. */
    workspace?: Workspace;
    viewport?: { width: number; height: number };
    theme?: Theme;
    /** A module to run inside the extension host; see test/integration/index.ts. */
    tests?: string;
    /** Called before the page loads: exposed functions, routes. */
    prepare?: (page: Page) => Promise<void>;
    /** False: return as soon as the page is there, without waiting for the explorer. */
    wait?: boolean;
}

export async function launchBrowser(): Promise<Browser> {
    const executablePath = await setUpChromium();
    return chromium.launch({
        executablePath,
        // Signals are answered in one place, scripts/lib/process.mjs.
        handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
        // Pictures show what a user sees, scrollbars included.
        ignoreDefaultArgs: ['--hide-scrollbars'],
        args: [
            ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
            '--disable-gpu', '--disable-lcd-text', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
        ],
    });
}

export class Workbench {
    readonly explorer: Explorer;
    readonly quick: QuickInput;
    readonly editor: Editor;
    readonly panels: Panels;
    /** What a webview or the page tried against its content security policy. A test asserts that it is empty. */
    readonly violations: string[] = [];

    private constructor(
        readonly page: Page,
        readonly server: Server,
        readonly workspace: Workspace,
        private readonly browser: Browser,
        private readonly context: BrowserContext,
        private readonly ownsWorkspace: boolean,
    ) {
        this.explorer = new Explorer(page);
        this.quick = new QuickInput(page);
        this.editor = new Editor(page, this.quick);
        this.panels = new Panels(page);
        page.on('console', (message) => this.collect(message));
    }

    static async open(options: WorkbenchOptions = {}): Promise<Workbench> {
        const ownsWorkspace = options.workspace === undefined;
        const workspace = options.workspace ?? copyWorkspace(options.source === null ? undefined : options.source ?? samples);
        let server: Server | undefined;
        let browser: Browser | undefined;
        try {
            // A theme that the workspace asks for already is not taken over when the window opens; one that it asks for later is.
            if (existsSync(workspace.path(settingsFile))) workspace.write(settingsFile, '{}');
            [server, browser] = await Promise.all([startServer(options), launchBrowser()]);
            const context = await browser.newContext({
                viewport: options.viewport ?? { width: 1400, height: 900 },
                permissions: ['clipboard-read', 'clipboard-write'],
                locale: 'en-US',
            });
            const page = await context.newPage();
            page.setDefaultTimeout(60_000);
            const workbench = new Workbench(page, server, workspace, browser, context, ownsWorkspace);
            await options.prepare?.(page);
            await page.goto(server.url(workspace.folder, options.tests));
            if (options.wait !== false) await workbench.ready();
            if (options.theme) await workbench.theme(options.theme);
            return workbench;
        } catch (error) {
            await browser?.close();
            await server?.close();
            if (ownsWorkspace) workspace.remove();
            throw error;
        }
    }

    private collect(message: ConsoleMessage): void {
        if (message.type() === 'error' && /Content Security Policy/i.test(message.text())) this.violations.push(message.text());
    }

    /** The workbench is restored and has its theme. */
    private async restored(): Promise<void> {
        await this.page.waitForFunction(() => 'driver' in globalThis, undefined, { timeout: 180_000 });
        await this.page.evaluate(() => (globalThis as unknown as { driver: { whenWorkbenchRestored(): Promise<void> } }).driver.whenWorkbenchRestored());
        await this.page.locator('.monaco-workbench[class*=vscode-theme-]').waitFor({ timeout: 120_000 });
    }

    /** … and shows the folder. */
    async ready(): Promise<void> {
        await this.restored();
        await this.page.locator('.explorer-folders-view .monaco-list').waitFor({ timeout: 120_000 });
    }

    /** Reloads the window as a user does: a reload of the page alone would lose what was opened just before. The side bar comes back with the view it had. */
    async reload(): Promise<void> {
        const loaded = this.page.waitForEvent('load', { timeout: 180_000 });
        await this.command('Developer: Reload Window');
        await loaded;
        await this.restored();
    }

    /** Runs a command of the palette by its whole title ("Quant: Run Recipe"). */
    async command(title: string): Promise<void> {
        await this.quick.command(title);
    }

    /** Is a command in the palette now? */
    async hasCommand(title: string): Promise<boolean> {
        return this.quick.hasCommand(title);
    }

    /** Opens a file of the workspace by its path (quick open). */
    async openFile(file: string): Promise<void> {
        await this.quick.openFile(file);
        await this.editor.shown(path.basename(file));
    }

    /** Switches the colour theme through the workspace settings, and waits until it is shown. */
    async theme(theme: Theme): Promise<void> {
        setTheme(this.workspace, theme);
        await this.themeShown(theme);
    }

    private async themeShown(theme: Theme): Promise<void> {
        // The class of the workbench names the theme's file: …-light_modern-json, …-hc_black-json.
        const part = { 'Light Modern': 'light_modern', 'Dark Modern': 'dark_modern', 'Default High Contrast': 'hc_black', 'Default High Contrast Light': 'hc_light' }[theme];
        await this.page.locator(`.monaco-workbench[class*="${part}-json"]`).waitFor({ timeout: 120_000 });
        for (const frame of await this.panels.frames()) await frame.waitForSelector(`body[data-vscode-theme-id="${theme}"]`);
    }

    statusItem(text: string | RegExp) {
        return this.page.locator('.statusbar-item').filter({ hasText: text });
    }

    /**
     * The notifications of the window, newest first. The driver that the tests need keeps them from popping up,
     * so this opens the list of them; `hideNotifications()` closes it.
     */
    async notifications(): Promise<string[]> {
        const list = this.page.locator('.notifications-center');
        if (!(await list.isVisible())) await this.quick.command('Notifications: Show Notifications');
        await list.waitFor();
        return list.locator('.notification-list-item-message').allInnerTexts();
    }

    /** Waits for a notification; its locator, for the buttons: `(await workbench.notification('Done')).getByRole('button', …)`. */
    async notification(text: string | RegExp, timeout?: number): Promise<Locator> {
        const row = this.page.locator('.notifications-center .monaco-list-row').filter({ hasText: text }).first();
        return until(`the notification ${String(text)}`, async () => {
            const texts = await this.notifications();
            return (await row.count()) > 0 ? row : Promise.reject(new Error(texts.join(' | ')));
        }, timeout);
    }

    async hideNotifications(): Promise<void> {
        const list = this.page.locator('.notifications-center');
        if (await list.isVisible()) await this.quick.command('Notifications: Hide Notifications');
        await list.waitFor({ state: 'hidden' });
    }

    /** What a user does in Restricted Mode (only with `trust: false`). */
    async trustWorkspace(): Promise<void> {
        await this.statusItem('Restricted Mode').click();
        await this.page.locator('.workspace-trust-editor').getByRole('button', { name: 'Trust', exact: true }).click();
        await this.statusItem('Restricted Mode').waitFor({ state: 'hidden' });
    }

    async screenshot(file: string): Promise<string> {
        const target = path.isAbsolute(file) ? file : path.join(root, file);
        mkdirSync(path.dirname(target), { recursive: true });
        await this.page.screenshot({ path: target, animations: 'disabled' });
        return target;
    }

    async waitFor<T>(what: string, ask: () => T | Promise<T>, timeout?: number): Promise<NonNullable<T>> {
        return until(what, ask, timeout);
    }

    async close(): Promise<void> {
        try {
            await this.context.close();
        } finally {
            try {
                await this.browser.close();
            } finally {
                await this.server.close();
                if (this.ownsWorkspace) this.workspace.remove();
            }
        }
    }
}

const settingsFile = '.vscode/settings.json';

function setTheme(workspace: Workspace, theme: Theme): void {
    workspace.write(settingsFile, JSON.stringify({ 'workbench.colorTheme': theme }, undefined, 4));
}

/** Opens a workbench for one piece of work and closes it whatever happens. */
export async function withWorkbench<T>(options: WorkbenchOptions, work: (workbench: Workbench) => Promise<T>): Promise<T> {
    const workbench = await Workbench.open(options);
    try {
        return await work(workbench);
    } finally {
        await workbench.close();
    }
}
