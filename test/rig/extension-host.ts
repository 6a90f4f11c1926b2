// Runs test/integration inside the extension host of the browser workbench; a program of its own, started by scripts/test.mjs.
//   node out/rig/extension-host.mjs      results: see test/integration/index.ts
import path from 'node:path';
import { root } from '../../scripts/lib/paths.mjs';
import { Workbench } from './workbench';

const timeout = Number(process.env.QUANT_TEST_TIMEOUT ?? 900_000);
const log: string[] = [];
let finish: (code: number) => void;
const finished = new Promise<number>((resolve) => {
    finish = resolve;
});

const workbench = await Workbench.open({
    tests: path.join(root, 'out', 'integration', 'index.js'),
    wait: false,
    prepare: async (page) => {
        await page.exposeFunction('codeAutomationExit', (code: number) => finish(code));
        await page.exposeFunction('codeAutomationLog', (type: string, args: unknown[]) => {
            log.push(`[${type}] ${args.map(String).join(' ')}`);
        });
    },
});
const timer = setTimeout(() => {
    console.error(`The extension host did not finish within ${timeout / 1000} s. The end of the window's log:`);
    finish(124);
}, timeout);
const code = await finished;
clearTimeout(timer);
if (code !== 0) console.error(log.slice(-40).join('\n'));
await workbench.close();
process.exit(code);
