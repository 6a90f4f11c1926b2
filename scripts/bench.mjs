// `npm run bench`: figures for docs/benchmarks.md. Not part of the tests: it takes long and wants a quiet machine.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, venvPython } from './lib/paths.mjs';
import { setUpOrExit } from './setup.mjs';

await setUpOrExit('npm', 'python');
const result = spawnSync(venvPython, [join(root, 'engine', 'benches', 'bench.py'), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, PYTHONPATH: join(root, 'engine') },
});
process.exitCode = result.status ?? 1;
