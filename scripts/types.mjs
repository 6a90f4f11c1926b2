// protocol/generated/*.ts from schemas/*.schema.json.
//   node scripts/types.mjs [--check]      --check: change nothing, fail when a file is stale
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './lib/paths.mjs';

const schemas = path.join(root, 'schemas');
const target = path.join(root, 'protocol', 'generated');
const ending = '.schema.json';

/** @param {string} name */
function header(name) {
    return [
        `// Generated from schemas/${name}${ending} by \`npm run types\`. Do not edit.`,
        '',
    ].join('\n');
}

/** @returns {Promise<Map<string, string>>} file name → content */
async function generate() {
    const { compile } = await import('json-schema-to-typescript');
    const wanted = new Map();
    for (const file of readdirSync(schemas).filter((entry) => entry.endsWith(ending)).sort()) {
        const name = file.slice(0, -ending.length);
        const schema = JSON.parse(readFileSync(path.join(schemas, file), 'utf8'));
        const title = schema.title ?? name;
        const text = await compile(schema, title, {
            bannerComment: header(name), cwd: schemas, additionalProperties: false, unreachableDefinitions: false, enableConstEnums: false,
            format: true, style: { tabWidth: 4, singleQuote: true, printWidth: 120 },
        });
        wanted.set(`${name}.ts`, `${text.trimEnd()}\n`);
    }
    return wanted;
}

const wanted = await generate();
const check = process.argv.includes('--check');
const present = existsSync(target) ? readdirSync(target).filter((file) => file.endsWith('.ts')) : [];
const stale = [
    ...[...wanted].filter(([file, text]) => !present.includes(file) || readFileSync(path.join(target, file), 'utf8') !== text).map(([file]) => file),
    ...present.filter((file) => !wanted.has(file)),
];
if (wanted.size === 0) {
    console.error('There are no schemas: run `.venv/bin/python -m quant_engine schema --out schemas`.');
    process.exitCode = 1;
} else if (check && stale.length > 0) {
    console.error(`Stale: ${stale.map((file) => `protocol/generated/${file}`).join(', ')}. Run \`npm run types\` and commit the result.`);
    process.exitCode = 1;
} else if (!check) {
    mkdirSync(target, { recursive: true });
    for (const [file, text] of wanted) writeFileSync(path.join(target, file), text);
    for (const file of present.filter((name) => !wanted.has(name))) rmSync(path.join(target, file));
    console.log(stale.length > 0 ? `Written: ${stale.map((file) => `protocol/generated/${file}`).join(', ')}` : 'The types are up to date.');
}
