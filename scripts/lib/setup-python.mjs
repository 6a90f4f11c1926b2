// Step 2: the Python environment in .venv, exactly as pinned, with the engine in it (editable).
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, venv, venvPython, windows } from './paths.mjs';
import { command, logFile, SetupError, stamp, step } from './steps.mjs';

const probe = 'import sys, importlib.util as u; print(sys.version_info[0], sys.version_info[1], int(all(u.find_spec(m) for m in ("venv", "ensurepip"))), sys.executable)';

/** @typedef {{ name: string, executable: string, version: string, recent: boolean, complete: boolean }} Interpreter */

/**
 * @param {string} name
 * @param {string[]} [args]
 * @returns {Interpreter | undefined}
 */
function ask(name, args = []) {
    const { status, stdout } = spawnSync(name, [...args, '-c', probe], { encoding: 'utf8', timeout: 20_000, windowsHide: true });
    const answer = status === 0 ? /^(\d+) (\d+) ([01]) (.+)$/m.exec(stdout) : null;
    if (!answer) return undefined;
    const [, major, minor, complete, executable] = answer;
    return {
        name: [name, ...args].join(' '), executable: (executable ?? name).trim(), version: `${major}.${minor}`,
        recent: Number(major) === 3 && Number(minor) >= 10, complete: complete === '1',
    };
}

/** Debian's package names; elsewhere the sentence says what is missing without naming a package. */
const advice = {
    none: 'Install Python 3.10 or newer (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python; Windows: winget install Python.Python.3.13), or set QUANT_PYTHON to one.',
    /** @param {string} version */
    venv: (version) => `Install it (Debian and Ubuntu: apt install python${version}-venv, or python3-venv), or set QUANT_PYTHON to a complete Python.`,
};

/**
 * The interpreter that .venv is made from.
 * @returns {Interpreter}
 */
export function findPython() {
    const wanted = process.env.QUANT_PYTHON;
    /** @type {[string, string[]?][]} */
    const names = wanted
        ? [[wanted]]
        : [...['3.13', '3.12', '3.11', '3.10'].map((version) => /** @type {[string]} */ ([`python${version}`])), ['python3'], ['python']];
    if (!wanted && windows) names.unshift(['py', ['-3']]);
    const found = names.map(([name, args]) => ask(name, args)).filter((one) => one !== undefined);
    const usable = found.find((one) => one.recent && one.complete);
    if (usable) return usable;
    const attempted = names.map(([name, args]) => [name, ...(args ?? [])].join(' ')).join(', ');
    const recent = found.find((one) => one.recent);
    if (recent) {
        throw new SetupError(`Python ${recent.version} (${recent.executable}) has no venv module.`, { attempted, advice: advice.venv(recent.version) });
    }
    const old = found[0];
    const from = wanted ? 'QUANT_PYTHON' : 'PATH';
    throw new SetupError(
        old ? `Python 3.10 or newer is needed; ${old.executable} is ${old.version}.` : `No Python 3.10 or newer was found (looked at ${from}).`,
        { attempted, advice: advice.none },
    );
}

/** The requirement files, in the order in which they are installed. */
const pins = ['engine/constraints.txt', 'engine/requirements-dev.txt'].map((file) => path.join(root, file));

export async function setUpPython() {
    const project = path.join(root, 'engine', 'pyproject.toml');
    const done = stamp('python', ...[...pins, project].map((file) => readFileSync(file)), root);
    if (done.fresh() && existsSync(venvPython)) return;
    const log = logFile('python');
    const env = { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_INPUT: '1' };
    const existing = existsSync(venvPython) ? ask(venvPython) : undefined;
    if (!existing?.recent) {
        const python = findPython();
        await step(`Python environment (.venv, Python ${python.version})`, async () => {
            rmSync(venv, { recursive: true, force: true });
            try {
                await command('Creating .venv', python.executable, ['-m', 'venv', venv], { log, env });
            } catch (error) {
                rmSync(venv, { recursive: true, force: true });
                if (error instanceof SetupError && /ensurepip|python3-venv/.test(readFileSync(log, 'utf8'))) error.advice = advice.venv(python.version);
                throw error;
            }
        });
    }
    const pip = ['-m', 'pip', 'install', '--progress-bar', 'off'];
    await step('Python packages (torch is large: a minute or more the first time)', async () => {
        const files = pins.flatMap((file) => ['-r', file]);
        await command('Installing the Python packages', venvPython, [...pip, ...files], { log, env, cwd: root });
    });
    await step('engine', async () => {
        const args = [...pip, '--no-deps', '--no-build-isolation', '-e', path.join(root, 'engine')];
        await command('Installing the engine', venvPython, args, { log, env, cwd: root });
    });
    done.write();
}
