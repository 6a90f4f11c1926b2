// What a suite found, read from the machine-readable output of its tool.
import { existsSync, readFileSync } from 'node:fs';

/**
 * @typedef {{ title: string, text: string }} Failure
 * @typedef {{ passed: number, failed: number, skipped: number, failures: Failure[] }} Result
 */

/**
 * @param {string} title
 * @param {string} text
 * @returns {Result}
 */
export function failure(title, text) {
    return { passed: 0, failed: 1, skipped: 0, failures: [{ title, text }] };
}

/**
 * A check that is one test: it passes when its command ends with 0.
 * @param {string} title
 * @param {import('./process.mjs').RunResult} run
 * @returns {Result}
 */
export function checkResult(title, run) {
    if (run.code === 0) return { passed: 1, failed: 0, skipped: 0, failures: [] };
    return failure(title, run.timedOut ? `It ran past its time limit and was ended.\n${run.output}` : run.output);
}

/**
 * Adds what a report cannot say: that its program was ended, crashed, or ran nothing.
 * @param {Result | undefined} result
 * @param {string} title
 * @param {import('./process.mjs').RunResult} run
 * @returns {Result}
 */
function complete(result, title, run) {
    const tail = run.output.trimEnd().split('\n').slice(-60).join('\n');
    const found = result ?? { passed: 0, failed: 0, skipped: 0, failures: [] };
    let text;
    if (run.timedOut) text = 'The suite ran past its time limit and was ended.';
    else if (!result) text = `The suite ended with exit code ${run.code} and left no results.`;
    else if (found.passed + found.failed === 0) text = 'The suite ran no test.';
    else if (run.code !== 0 && found.failed === 0) text = `All its tests passed, but the suite ended with exit code ${run.code}.`;
    if (text === undefined) return found;
    return { ...found, failed: found.failed + 1, failures: [...found.failures, { title, text: `${text}\n${tail}` }] };
}

/**
 * @param {string} title
 * @param {string} file written by mocha's JSON reporter
 * @param {import('./process.mjs').RunResult} run
 */
export function mochaResult(title, file, run) {
    if (!existsSync(file)) return complete(undefined, title, run);
    const { stats, failures } = JSON.parse(readFileSync(file, 'utf8'));
    return complete({
        passed: stats.passes, failed: stats.failures, skipped: stats.pending,
        failures: failures.map((/** @type {any} */ test) => ({ title: test.fullTitle, text: mochaError(test.err) })),
    }, title, run);
}

/** @param {{ message?: string, stack?: string, actual?: string, expected?: string }} error */
function mochaError({ message = 'It failed without a message.', stack, actual, expected }) {
    const text = stack?.includes(message) ? stack : [message, stack].filter(Boolean).join('\n');
    return actual === undefined || expected === undefined || message.includes('actual') ? text : `${text}\nexpected: ${expected}\nactual:   ${actual}`;
}

/** @type {Record<string, string>} */
const entities = { lt: '<', gt: '>', quot: '"', apos: '\'', amp: '&' };

/** @param {string} text */
function unescape(text) {
    return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
        if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
        if (decimal) return String.fromCodePoint(Number(decimal));
        return entities[name] ?? whole;
    });
}

/**
 * @param {string} title
 * @param {string} file written by pytest --junitxml
 * @param {import('./process.mjs').RunResult} run
 */
export function pytestResult(title, file, run) {
    if (!existsSync(file)) return complete(undefined, title, run);
    /** @type {Result} */
    const result = { passed: 0, failed: 0, skipped: 0, failures: [] };
    for (const [, attributes = '', body = ''] of readFileSync(file, 'utf8').matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
        const problem = /<(?:failure|error)\b[^>]*?(?:\/>|>([\s\S]*?)<\/(?:failure|error)>)/.exec(body);
        if (problem) {
            result.failed += 1;
            const [name, group] = ['name', 'classname'].map((key) => unescape(new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)?.[1] ?? ''));
            result.failures.push({ title: `${group}::${name}`, text: unescape(problem[1] ?? '') });
        } else if (/<skipped\b/.test(body)) result.skipped += 1;
        else result.passed += 1;
    }
    return complete(result, title, run);
}
