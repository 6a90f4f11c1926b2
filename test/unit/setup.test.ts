import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../scripts/lib/process.mjs';
import { failure, mochaResult, pytestResult } from '../../scripts/lib/results.mjs';
import { findPython } from '../../scripts/lib/setup-python.mjs';
import { command, SetupError } from '../../scripts/lib/steps.mjs';

describe('the set-up', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    const python = process.env.QUANT_PYTHON;
    after(() => {
        rmSync(folder, { recursive: true, force: true });
        if (python === undefined) delete process.env.QUANT_PYTHON;
        else process.env.QUANT_PYTHON = python;
    });

    /** A program that answers like a Python of that version. */
    function interpreter(answer: string): string {
        const file = path.join(folder, `python${answer.replaceAll(' ', '-')}`);
        writeFileSync(file, `#!/bin/sh\necho ${answer} ${file}\n`);
        chmodSync(file, 0o755);
        return file;
    }

    function problem(executable: string): SetupError {
        process.env.QUANT_PYTHON = executable;
        try {
            findPython();
        } catch (error) {
            if (error instanceof SetupError) return error;
            throw error;
        }
        throw new assert.AssertionError({ message: 'no error' });
    }

    it('says that there is no Python, where it looked, and what to install', () => {
        const error = problem(path.join(folder, 'nowhere'));
        assert.match(error.message, /No Python 3\.10 or newer was found \(looked at QUANT_PYTHON\)/);
        assert.match(error.attempted ?? '', /nowhere/);
        assert.match(error.advice ?? '', /apt install python3 python3-venv/);
    });

    it('names a Python that is too old', () => {
        assert.match(problem(interpreter('3 9 1')).message, /3\.10 or newer is needed; .*python3-9-1 is 3\.9/);
    });

    it('names the missing venv module and its Debian package', () => {
        const error = problem(interpreter('3 12 0'));
        assert.match(error.message, /has no venv module/);
        assert.match(error.advice ?? '', /python3\.12-venv/);
    });

    it('takes a Python that is recent and complete', () => {
        process.env.QUANT_PYTHON = interpreter('3 10 1');
        assert.equal(findPython().version, '3.10');
    });

    for (const [output, message] of [
        ['OSError: [Errno 28] No space left on device', /The disk is full/],
        ['npm error code ENOTFOUND', /registry cannot be reached/],
        ['ERROR: No matching distribution found for torch==2.13.0', /no build for this Python/],
        ['something else', /exit code 3/],
    ] as const) {
        it(`explains: ${output}`, async () => {
            const log = path.join(folder, 'log');
            const args = ['-e', `console.log(${JSON.stringify(output)}); process.exit(3)`];
            await assert.rejects(command('Trying it', process.execPath, args, { log }), (error: SetupError) => message.test(error.message) && error.log === log);
        });
    }
});

describe('running commands', () => {
    it('ends a command and what it started when its time is over', async () => {
        const started = Date.now();
        const result = await run('sh', ['-c', 'sleep 60 & echo $!; wait'], { timeout: 300 });
        assert.ok(result.timedOut && Date.now() - started < 5000);
        // Gone, or dead and waiting for a parent that does not ask (a container without an init).
        const { output } = await run('ps', ['-o', 'stat=', '-p', result.output.trim()]);
        assert.match(output.trim(), /^(Z.*)?$/, 'the grandchild is still there');
    });

    it('reports a command that does not exist', async () => {
        assert.equal((await run('no-such-command-here', [])).code, 127);
    });
});

describe('reading results', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    after(() => rmSync(folder, { recursive: true, force: true }));
    const ended = (code: number, timedOut = false) => ({ code, output: 'last words', timedOut });

    function written(name: string, content: string): string {
        const file = path.join(folder, name);
        writeFileSync(file, content);
        return file;
    }

    it('counts pytest reports and keeps the whole failure', () => {
        const file = written('a.xml', `<testsuites><testsuite><testcase classname="tests.a" name="one" time="0"/>
            <testcase classname="tests.a" name="two[a&lt;b]"><failure message="m">assert 1 &gt; 2&#10;end</failure></testcase>
            <testcase classname="tests.a" name="three"><skipped message="no"/></testcase></testsuite></testsuites>`);
        const result = pytestResult('engine', file, ended(1));
        assert.deepEqual(result, {
            passed: 1, failed: 1, skipped: 1, failures: [{ title: 'tests.a::two[a<b]', text: 'assert 1 > 2\nend' }],
        });
    });

    it('counts a suite that left nothing, ran nothing, ran too long or crashed at the end as failed', () => {
        const empty = written('b.json', JSON.stringify({ stats: { passes: 0, failures: 0, pending: 0 }, failures: [] }));
        const good = written('c.json', JSON.stringify({ stats: { passes: 2, failures: 0, pending: 0 }, failures: [] }));
        assert.match(mochaResult('s', path.join(folder, 'none'), ended(1)).failures[0]?.text ?? '', /left no results/);
        assert.match(mochaResult('s', empty, ended(0)).failures[0]?.text ?? '', /ran no test/);
        assert.match(mochaResult('s', good, ended(128, true)).failures[0]?.text ?? '', /time limit/);
        assert.match(mochaResult('s', good, ended(1)).failures[0]?.text ?? '', /exit code 1/);
        assert.deepEqual(mochaResult('s', good, ended(0)), { passed: 2, failed: 0, skipped: 0, failures: [] });
    });

    it('makes a failure of an error', () => assert.equal(failure('x', 'y').failed, 1));
});
