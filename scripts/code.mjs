// `npm run code`: the real VS Code in a browser, on a loopback port, with this extension loaded and the samples open.
//   npm run code [-- FOLDER] [--port N] [--no-open] [--check]
// --check: start, see that the page answers with the URL's token and not without, end.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { optionsOrExit } from './lib/options.mjs';
import { root } from './lib/paths.mjs';
import { onExit, onSignal } from './lib/process.mjs';
import { setUpOrExit } from './setup.mjs';

/**
 * A folder for installed extensions that holds a link to this repository. Not "under development": the switch for that
 * also keeps notifications from popping up.
 */
function extensionsFolder() {
    const folder = mkdtempSync('/tmp/qw-');
    onExit(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(path.join(folder, 'extensions'));
    symlinkSync(root, path.join(folder, 'extensions', 'quant-workbench.quant-workbench'));
    return path.join(folder, 'extensions');
}

/** @param {string} url */
function openBrowser(url) {
    const [command, ...args] = process.platform === 'darwin' ? ['open', url] : ['xdg-open', url];
    if (process.platform !== 'darwin' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
    spawn(command ?? 'xdg-open', args, { stdio: 'ignore', detached: true }).once('error', () => undefined).unref();
}

const { values, positionals } = optionsOrExit({
    allowPositionals: true,
    options: { check: { type: 'boolean' }, port: { type: 'string', default: '0' }, 'no-open': { type: 'boolean' } },
}, 'npm run code [-- FOLDER] [--port N] [--no-open] [--check]');
const folder = path.resolve(positionals[0] ?? path.join(root, 'samples'));

await setUpOrExit('npm', 'python', 'vscode');
const { build } = await import('./build.mjs');
await build();
const { startServer, statusOf, withoutToken } = await import('./lib/vscode-server.mjs');
const server = await startServer({ extensionsFolder: extensionsFolder(), port: Number(values.port), settings: { 'workbench.reduceMotion': 'auto' }, driver: false, untilClosed: true });
const url = server.url(folder);
if (values.check) {
    const [status, stranger] = [await statusOf(url), await statusOf(withoutToken(url))];
    await server.close();
    console.log(`VS Code answered with ${status}, and ${stranger} without the token.`);
    process.exit(status === 200 && stranger === 403 ? 0 : 1);
}
console.log(`\nQuant Workbench with ${path.relative(root, folder) || folder} open:\n\n  ${url}\n\nWhoever has this address can use a terminal as you. Ctrl+C ends it. After a change: npm run build, then “Developer: Reload Window”.`);
if (!values['no-open']) openBrowser(url);
let asked = false;
onSignal(() => {
    asked = true;
    void server.close();
});
await server.ended;
await server.close();
console.log(asked ? '\nEnded.' : `\nVS Code ended by itself.\n${server.output()}`);
process.exit(asked ? 0 : 1);
