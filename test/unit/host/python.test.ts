import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../../scripts/lib/paths.mjs';
import { runCommand, type CommandResult, type RunCommand } from '../../../src/engine/command';
import { pythonAdvice, pythonProblem } from '../../../src/engine/python/explain';
import { PythonFinder, type PythonCandidate, type PythonProvider } from '../../../src/engine/python/finder';
import { probePython, type PythonStatus } from '../../../src/engine/python/probe';
import { expandPath, pythonProviders, SET_UP_STAMP, setUpFolder, venvPython } from '../../../src/engine/python/providers';
import { compareVersions, missingRequirements, readRequirements } from '../../../src/engine/python/requirements';
import { temporaryFolder } from './helpers/runs';

const pyproject = readFileSync(path.join(root, 'engine', 'pyproject.toml'), 'utf8');
const requirements = readRequirements(pyproject);

describe('the engine’s requirements', () => {
    it('are read from its own pyproject.toml', () => {
        const torch = requirements.find(({ name }) => name === 'torch');
        assert.ok(torch?.atLeast && torch.below);
        assert.ok(requirements.some(({ name }) => name === 'compressed-tensors'));
        assert.throws(() => readRequirements('[project]\nname = "x"\n'), /no dependencies/);
    });

    it('name what is absent, too old and too new', () => {
        const wanted = [{ name: 'torch', atLeast: '2.13', below: '2.14' }, { name: 'rich', atLeast: '14', below: undefined }];
        assert.deepEqual(missingRequirements(wanted, { torch: '2.13.0+cpu', rich: '14.0' }), []);
        assert.deepEqual(missingRequirements(wanted, { torch: null, rich: '9.1' }), ['torch', 'rich >=14 (found 9.1)']);
        assert.deepEqual(missingRequirements(wanted, { torch: '2.14.0', rich: '15' }), ['torch <2.14 (found 2.14.0)']);
    });

    it('compare versions by their numbers', () => {
        assert.equal(compareVersions('2.9', '2.13'), -1);
        assert.equal(compareVersions('2.13', '2.13.0'), 0);
        assert.equal(compareVersions('10', '9.9.9'), 1);
    });
});

describe('probing an interpreter', () => {
    const answering = (result: Partial<CommandResult>): RunCommand => () =>
        Promise.resolve({ exitCode: 0, stdout: '', stderr: '', notFound: false, cancelled: false, ...result });
    const probe = (result: Partial<CommandResult>): Promise<PythonStatus> => probePython('py', { requirements: [{ name: 'torch', atLeast: '2', below: undefined }], env: {}, run: answering(result) });
    const answer = (version: number[], torch: string | null): Partial<CommandResult> => ({ stdout: `noise\n${JSON.stringify({ version, found: { torch }, engine: '0.1.0' })}\n` });

    it('finds each of the five outcomes', async () => {
        assert.deepEqual(await probe(answer([3, 12, 1], '2.5')), { kind: 'ready', python: 'py', version: '3.12.1', engine: '0.1.0' });
        assert.deepEqual(await probe(answer([3, 9, 0], null)), { kind: 'too-old', python: 'py', version: '3.9.0' });
        assert.deepEqual(await probe(answer([2, 7, 18], null)), { kind: 'too-old', python: 'py', version: '2.7.18' });
        assert.deepEqual(await probe(answer([3, 12, 1], null)), { kind: 'packages-missing', python: 'py', version: '3.12.1', missing: ['torch'] });
        assert.deepEqual(await probe({ exitCode: undefined, notFound: true }), { kind: 'not-found', python: 'py' });
        assert.deepEqual(await probe({ exitCode: 1, stderr: 'a\nImportError: broken\n' }), { kind: 'broken', python: 'py', detail: 'ImportError: broken' });
        assert.deepEqual(await probe({ stdout: 'hello' }), { kind: 'broken', python: 'py', detail: 'hello' });
    });

    it('explains every failure and says what to do', async () => {
        for (const result of [answer([3, 9, 0], null), answer([3, 12, 0], null), { notFound: true }, { exitCode: 1, stderr: 'boom' }]) {
            const status = await probe(result);
            assert.notEqual(status.kind, 'ready');
            if (status.kind === 'ready') continue;
            assert.match(pythonProblem(status), /py/);
            assert.match(pythonAdvice(status), /Quant: /);
        }
    });

    it('asks the real interpreter of this repository', async () => {
        const python = venvPython(path.join(root, '.venv'));
        const status = await probePython(python, { requirements, env: { PYTHONPATH: path.join(root, 'engine') }, run: runCommand });
        assert.equal(status.kind, 'ready', JSON.stringify(status));
        const nothing = await probePython(path.join(root, 'no-such-python'), { requirements, env: {}, run: runCommand });
        assert.equal(nothing.kind, 'not-found');
        const lacking = await probePython(python, { requirements: [{ name: 'no-such-package', atLeast: undefined, below: undefined }], env: { PYTHONPATH: path.join(root, 'engine') }, run: runCommand });
        assert.deepEqual(lacking.kind === 'packages-missing' && lacking.missing, ['no-such-package']);
    });
});

describe('finding an interpreter', () => {
    const offering = (...candidates: PythonCandidate[]): PythonProvider => ({ candidates: () => Promise.resolve(candidates) });
    const ready = (python: string): PythonStatus => ({ kind: 'ready', python, version: '3.12.0', engine: '0.1.0' });
    const statuses: Record<string, PythonStatus> = {
        good: ready('good'), old: { kind: 'too-old', python: 'old', version: '3.8.0' }, bare: { kind: 'packages-missing', python: 'bare', version: '3.12.0', missing: ['torch'] },
    };
    const finder = (...providers: PythonProvider[]) => {
        const asked: string[] = [];
        const found = new PythonFinder(providers, (python) => {
            asked.push(python);
            return Promise.resolve(statuses[python] ?? { kind: 'not-found', python });
        });
        return { found, asked };
    };

    it('takes the first that works and asks no further', async () => {
        const { found, asked } = finder(offering({ python: 'old', source: 'workspace' }), offering({ python: 'good', source: 'path' }), offering({ python: 'bare', source: 'path' }));
        const { status, source } = await found.find();
        assert.deepEqual([status.kind, source, asked], ['ready', 'path', ['old', 'good']]);
    });

    it('never replaces the one that the user named', async () => {
        const { found, asked } = finder(offering({ python: 'old', source: 'setting' }), offering({ python: 'good', source: 'path' }));
        assert.equal((await found.find()).status.kind, 'too-old');
        assert.deepEqual(asked, ['old']);
    });

    it('reports the failure that is nearest to working', async () => {
        const { found } = finder(offering({ python: 'none', source: 'workspace' }, { python: 'old', source: 'workspace' }), offering({ python: 'bare', source: 'path' }));
        assert.equal((await found.find()).status.kind, 'packages-missing');
        assert.equal((await finder().found.find()).status.kind, 'not-found');
    });

    it('keeps an answer until told to forget it, and a failure not at all', async () => {
        const { found, asked } = finder(offering({ python: 'good', source: 'path' }));
        await Promise.all([found.find(), found.find()]);
        await found.find();
        assert.equal(asked.length, 1);
        found.forget();
        await found.find();
        assert.equal(asked.length, 2);
        const failing = finder(offering({ python: 'old', source: 'path' }));
        await failing.found.find();
        await failing.found.find();
        assert.equal(failing.asked.length, 2);
    });

    it('looks in the documented order, and never at an unfinished set-up', async () => {
        const { folder, remove } = temporaryFolder();
        try {
            const [extension, storage, workspace] = ['extension', 'storage', 'workspace'].map((name) => path.join(folder, name)) as [string, string, string];
            const make = (python: string): void => {
                mkdirSync(path.dirname(python), { recursive: true });
                writeFileSync(python, '');
                chmodSync(python, 0o755);
            };
            make(venvPython(path.join(extension, '.venv')));
            make(venvPython(setUpFolder(storage)));
            make(venvPython(path.join(workspace, 'venv')));
            const sources = async (setting: string): Promise<string[]> => {
                const providers = pythonProviders({ setting: () => setting, extension, storage, workspaceFolders: () => [workspace] });
                return (await Promise.all(providers.map((provider) => provider.candidates()))).flat().map(({ source }) => source);
            };
            assert.deepEqual([...new Set(await sources(''))], ['development', 'workspace', 'path']);
            writeFileSync(path.join(setUpFolder(storage), SET_UP_STAMP), '');
            assert.deepEqual([...new Set(await sources('/usr/bin/python3'))], ['setting', 'development', 'set-up', 'workspace', 'path']);
        } finally {
            remove();
        }
    });

    it('expands the paths that settings may contain', () => {
        assert.equal(expandPath('${workspaceFolder}/env/bin/python', '/w'), '/w/env/bin/python');
        assert.equal(expandPath('env/bin/python', '/w'), path.join('/w', 'env/bin/python'));
        assert.equal(expandPath('python3.12', '/w'), 'python3.12');
        assert.ok(path.isAbsolute(expandPath('~/python', undefined)));
    });
});
