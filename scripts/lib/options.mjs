// Command-line options of the scripts: a wrong one is answered with a sentence, not with a stack trace.
import { parseArgs } from 'node:util';

/**
 * Parses the command line; `--help` prints `help` and ends the process, and so does an option that does not exist.
 * @template {import('node:util').ParseArgsConfig} T
 * @param {T} config
 * @param {string} help
 * @returns {ReturnType<typeof parseArgs<T>>}
 */
export function optionsOrExit(config, help) {
    if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
        console.log(help);
        process.exit(0);
    }
    try {
        return parseArgs(config);
    } catch (error) {
        // Node's own advice after the first sentence is about its parser.
        const [sentence] = (error instanceof Error ? error.message : String(error)).split('. ');
        console.error(`${sentence?.replace(/\.$/, '')}. --help lists what there is.`);
        process.exit(2);
    }
}
