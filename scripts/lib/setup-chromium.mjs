// Chromium for the workbench tests and screenshots: the one that is there, else Debian's when it may be installed.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { command, logFile, SetupError, step } from './steps.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'];
const places = [
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
];

/** @returns {string | undefined} */
export function findChromium() {
    const wanted = process.env.QUANT_CHROMIUM;
    if (wanted) return existsSync(wanted) ? wanted : undefined;
    const folders = (process.env.PATH ?? '').split(path.delimiter);
    const candidates = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
    return [...candidates, ...places].find((file) => existsSync(file));
}

export async function setUpChromium() {
    const found = findChromium();
    if (found) return found;
    const advice = 'Install it (Debian: apt install chromium; Ubuntu, macOS, Windows: Chromium, Chrome or Edge) or set QUANT_CHROMIUM to its path.';
    if (process.env.QUANT_CHROMIUM) throw new SetupError('QUANT_CHROMIUM names no file.', { attempted: process.env.QUANT_CHROMIUM, advice });
    const root = process.getuid?.() === 0;
    if (!root || spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0) {
        throw new SetupError('The workbench tests need Chromium, and there is none.', { attempted: names.join(', '), advice });
    }
    const log = logFile('chromium');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await step('Chromium (apt-get)', async () => {
        await command('apt-get update', 'apt-get', ['update'], { log, env });
        await command('Installing Chromium', 'apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { log, env });
    });
    const installed = findChromium();
    if (!installed) throw new SetupError('apt-get installed Chromium, but there is no command of that name.', { attempted: 'apt-get install chromium', advice, log });
    return installed;
}
