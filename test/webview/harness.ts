import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import type { HostMessage, PanelMessage, SensitivityState } from '../../protocol/panel';
import { root } from '../../scripts/lib/paths.mjs';
import { findChromium } from '../../scripts/lib/setup-chromium.mjs';
import { themes, type ThemeName } from './themes';

const ORIGIN = 'https://panel.test';
const NONCE = 'a1b2c3d4e5f6';

/** What a page recorded: messages to the host, states, and every complaint of the browser (blocked by the CSP, errors). */
export interface Recorded {
    readonly messages: readonly PanelMessage[];
    readonly states: readonly SensitivityState[];
}

export interface PanelOptions {
    readonly theme?: ThemeName;
    readonly width?: number;
    readonly height?: number;
    readonly state?: SensitivityState;
    readonly bodyClasses?: string;
    readonly reducedMotion?: boolean;
    readonly scale?: number;
}

export interface Panel {
    readonly page: Page;
    readonly complaints: readonly string[];
    send(message: HostMessage): Promise<void>;
    recorded(): Promise<Recorded>;
    setTheme(theme: ThemeName): Promise<void>;
    close(): Promise<void>;
}

export function launch(): Promise<Browser> {
    const executablePath = findChromium();
    if (!executablePath) throw new Error('The panel tests need Chromium: `npm run setup` installs it, or name yours in QUANT_CHROMIUM.');
    // With scrollbars, as users have them: they take room.
    return chromium.launch({ executablePath, args: ['--no-sandbox', '--force-color-profile=srgb'], ignoreDefaultArgs: ['--hide-scrollbars'] });
}

/** The bundle as it ships: same entry, minified. */
export async function bundlePanel(): Promise<Uint8Array> {
    const { outputFiles } = await build({
        entryPoints: [path.join(root, 'webview/sensitivity/main.ts')],
        bundle: true, minify: true, format: 'iife', target: 'es2022', write: false, legalComments: 'none', logLevel: 'error',
        absWorkingDir: root, define: { 'process.env.NODE_ENV': '"production"' },
    });
    const [file] = outputFiles;
    if (!file) throw new Error('esbuild wrote no bundle for the sensitivity panel.');
    return file.contents;
}

/** VS Code's skeleton: body classes and variables of a theme, the strict policy, and an `acquireVsCodeApi` that records. */
function skeleton(theme: ThemeName, classes: string): string {
    const policy = `default-src 'none'; script-src 'nonce-${NONCE}'; style-src ${ORIGIN}; font-src ${ORIGIN}; img-src ${ORIGIN}`;
    const { id, bodyClass } = themes[theme];
    return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${policy}">
        <link rel="stylesheet" href="${ORIGIN}/webview.css">
        <link rel="stylesheet" id="vscode-codicon-stylesheet" href="${ORIGIN}/codicon.css"></head>
        <body class="${bodyClass} ${classes}" data-vscode-theme-id="${id}"><quant-sensitivity></quant-sensitivity>
        <script nonce="${NONCE}" src="${ORIGIN}/sensitivity.js"></script></body></html>`;
}

const webviewCss = `html { height: 100%; } body { margin: 0; padding: 0 20px; height: 100%; overscroll-behavior-x: none;
    background-color: var(--vscode-editor-background); color: var(--vscode-editor-foreground); font-family: var(--vscode-font-family); font-size: var(--vscode-font-size); }`;

export async function openPanel(browser: Browser, bundle: Uint8Array, options: PanelOptions = {}): Promise<Panel> {
    const theme = options.theme ?? 'dark';
    const context = await browser.newContext({
        viewport: { width: options.width ?? 1000, height: options.height ?? 700 },
        deviceScaleFactor: options.scale ?? 1,
        reducedMotion: options.reducedMotion === false ? 'no-preference' : 'reduce',
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    const codicons = path.join(root, 'node_modules/@vscode/codicons/dist');
    await page.route(`${ORIGIN}/**`, async (route) => {
        const { pathname } = new URL(route.request().url());
        if (pathname === '/') await route.fulfill({ contentType: 'text/html', body: skeleton(theme, options.bodyClasses ?? '') });
        else if (pathname === '/webview.css') await route.fulfill({ contentType: 'text/css', body: webviewCss });
        else if (pathname === '/sensitivity.js') await route.fulfill({ contentType: 'text/javascript', body: Buffer.from(bundle) });
        else if (/^\/codicon\.(css|ttf)$/.test(pathname)) await route.fulfill({ body: await readFile(path.join(codicons, pathname)), contentType: pathname.endsWith('css') ? 'text/css' : 'font/ttf' });
        else await route.fulfill({ status: 404 });
    });
    await page.addInitScript(fakeHost, { state: options.state, variables: themes[theme].variables });
    await page.goto(`${ORIGIN}/`);
    return {
        page,
        complaints,
        send: async (message) => {
            await page.evaluate((data) => {
                window.postMessage(data, '*');
            }, message);
            await settled(page);
        },
        recorded: () => page.evaluate(() => (window as unknown as { recorded: Recorded }).recorded),
        setTheme: async (next) => {
            await page.evaluate(({ id, bodyClass, variables }) => {
                for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(`--vscode-${name}`, value);
                document.body.className = bodyClass;
                document.body.dataset.vscodeThemeId = id;
            }, themes[next]);
            await settled(page);
        },
        close: () => context.close(),
    };
}

/** Two frames after the message task: everything that follows from it has been painted. */
async function settled(page: Page): Promise<void> {
    await page.evaluate(
        () =>
            new Promise<void>((resolve) => {
                setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => {
                    resolve();
                })), 0);
            }),
    );
}

/** Runs in the page before its scripts. */
function fakeHost({ state, variables }: { state: unknown; variables: Readonly<Record<string, string>> }): void {
    const recorded: { messages: unknown[]; states: unknown[] } = { messages: [], states: [] };
    let current = state;
    let acquired = false;
    const api = {
        postMessage: (message: unknown): void => void recorded.messages.push(message),
        getState: (): unknown => current,
        setState: (next: unknown): void => {
            current = next;
            recorded.states.push(next);
        },
    };
    const acquireVsCodeApi = (): typeof api => {
        if (acquired) throw new Error('An instance of the VS Code API has already been acquired');
        acquired = true;
        return api;
    };
    Object.assign(window, { recorded, acquireVsCodeApi });
    const paint = (): void => {
        for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(`--vscode-${name}`, value);
    };
    if (document.documentElement) paint();
    else document.addEventListener('readystatechange', paint, { once: true });
}
