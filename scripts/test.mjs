// `npm test`: set-up, build, then every suite; the last line is `N passed, N failed`.
//   npm test [-- --only unit,engine]
import { optionsOrExit } from './lib/options.mjs';
import { node, root } from './lib/paths.mjs';
import { run } from './lib/process.mjs';
import { checkResult, failure } from './lib/results.mjs';
import { printSetupError } from './lib/steps.mjs';
import { suites } from './lib/suites.mjs';
import { setUp, setUpOrExit } from './setup.mjs';

/**
 * @typedef {import('./lib/results.mjs').Result} Result
 * @typedef {import('./lib/suites.mjs').Suite} Suite
 * @typedef {import('./lib/suites.mjs').Need} Need
 */

const help = `npm test [-- --only SUITE[,SUITE…]]

Suites:
${suites.map(({ name, title }) => `  ${name.padEnd(11)} ${title}`).join('\n')}`;
const { values } = optionsOrExit({ options: { only: { type: 'string' } } }, help);
const only = values.only?.split(',').map((name) => name.trim());
const unknown = only?.filter((name) => !suites.some((suite) => suite.name === name)) ?? [];
if (unknown.length > 0) {
    console.error(`There is no suite ${unknown.join(', ')}. They are: ${suites.map(({ name }) => name).join(', ')}.`);
    process.exit(2);
}
const selected = suites.filter(({ name }) => !only || only.includes(name));

/** @type {{ title: string, result: Result }[]} */
const finished = [];

/**
 * @param {string} title
 * @param {() => Promise<Result>} work
 */
async function record(title, work) {
    const started = Date.now();
    /** @type {Result} */
    let result;
    try {
        result = await work();
    } catch (error) {
        result = failure(title, error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    finished.push({ title, result });
    const counts = [`${result.passed} passed`, result.failed > 0 ? `${result.failed} failed` : '', result.skipped > 0 ? `${result.skipped} skipped` : ''];
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`  ${result.failed > 0 ? '✗' : '✓'} ${title.padEnd(38)} ${counts.filter(Boolean).join(', ').padEnd(28)} ${seconds} s`);
    return result.failed === 0;
}

/** @param {string[]} args */
async function bundle(args) {
    return run(node, ['scripts/build.mjs', ...args], { cwd: root, timeout: 3 * 60_000 });
}

/**
 * What suites need beside the set-up; each is prepared once, and its failure fails the suites that need it.
 * @type {Record<Need, () => Promise<boolean>>}
 */
const preparations = {
    build: () => record('build of the product', async () => checkResult('build of the product', await bundle([]))),
    tests: () => record('build of the tests', async () => checkResult('build of the tests', await bundle(['--tests']))),
    vscode: async () => {
        try {
            await setUp('vscode', 'chromium');
            return true;
        } catch (error) {
            printSetupError(error);
            return false;
        }
    },
};
/** @type {Record<Need, string>} */
const reasons = {
    build: 'the build of the product failed',
    tests: 'the build of the tests failed',
    vscode: 'VS Code or Chromium is missing (see above)',
};
/** @type {Map<Need, Promise<boolean>>} */
const prepared = new Map();

/** @param {Need} need */
function prepare(need) {
    const promise = prepared.get(need) ?? preparations[need]();
    prepared.set(need, promise);
    return promise;
}

/** @param {Suite} suite */
async function runSuite(suite) {
    /** @type {string[]} */
    const missing = [];
    for (const need of suite.needs) if (!(await prepare(need))) missing.push(reasons[need]);
    await record(suite.title, async () => missing.length > 0 ? failure(suite.title, `Not run: ${missing.join(', ')}.`) : suite.run(suite.title));
}

/** @param {Suite['lane']} lane */
async function runLane(lane) {
    for (const suite of selected) if (suite.lane === lane) await runSuite(suite);
}

await setUpOrExit('npm', 'python');
const started = Date.now();
console.log('Tests');
for (const need of /** @type {const} */ (['build', 'tests'])) if (selected.some(({ needs }) => needs.includes(need))) await prepare(need);
const needsEditor = selected.some(({ needs }) => needs.includes('vscode'));
await Promise.all([needsEditor ? prepare('vscode') : undefined, runLane('static'), runLane('engine')]);
await runLane('editor');

for (const { result } of finished) {
    for (const { title, text } of result.failures) console.log(`\n✗ ${title}\n${text.trimEnd().replace(/^/gm, '    ')}`);
}
const sum = (/** @type {'passed' | 'failed'} */ key) => finished.reduce((total, { result }) => total + result[key], 0);
console.log(`\n${((Date.now() - started) / 1000).toFixed(0)} s\n${sum('passed')} passed, ${sum('failed')} failed`);
process.exit(sum('failed') === 0 && sum('passed') > 0 ? 0 : 1);
