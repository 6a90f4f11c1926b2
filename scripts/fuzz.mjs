// Asks the language server's functions everything about recipes of the corpus after random edits of one character.
//   node scripts/fuzz.mjs [edits] [seed]      20,000 edits unless told otherwise
// Prints figures; fails when something throws, points outside the text or takes longer than 200 ms.
import path from 'node:path';
import { node, root } from './lib/paths.mjs';
import { bundled } from './lib/bundled.mjs';
import { spawnSync } from 'node:child_process';

const file = await bundled('test/fuzz/main.ts', 'fuzz');
const { status } = spawnSync(node, ['--enable-source-maps', file, ...process.argv.slice(2)], { cwd: path.resolve(root), stdio: 'inherit' });
process.exitCode = status ?? 1;
