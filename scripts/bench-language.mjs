// `npm run bench:language`: how fast the language server answers about a long recipe and a large checkpoint (docs/benchmarks.md). Linux only: memory is
// read from /proc. Not part of the tests: it wants a quiet machine.
import { spawnSync } from 'node:child_process';
import { node, root } from './lib/paths.mjs';
import { bundled } from './lib/bundled.mjs';

for (const command of [['scripts/build.mjs', '--production'], [await bundled('test/bench/main.ts', 'bench-language')]]) {
    const { status } = spawnSync(node, command, { cwd: root, stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
}
