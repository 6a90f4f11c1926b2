// Runs the suite inside the extension host: of the browser workbench (npm test) and of a desktop VS Code (npm run test:desktop).
import { readdirSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';

/**
 * VS Code calls this. With QUANT_TEST_RESULTS set, the results go to that file as JSON; otherwise they are printed.
 * It is done when the tests are, and rejects when one failed.
 */
export function run(): Promise<void> {
    const results = process.env.QUANT_TEST_RESULTS;
    const mocha = new Mocha({
        ui: 'bdd', timeout: 300_000, color: false, forbidOnly: process.env.CI === 'true',
        ...(results ? { reporter: 'json', reporterOptions: { output: results } } : { reporter: 'spec' }),
    });
    const files = readdirSync(__dirname).filter((file) => file.endsWith('.test.js')).sort();
    for (const file of files) mocha.addFile(path.join(__dirname, file));
    return new Promise((resolve, reject) => {
        mocha.run((failures) => {
            if (failures === 0) resolve();
            else reject(new Error(`${failures} of the tests failed.`));
        });
    });
}
