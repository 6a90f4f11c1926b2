import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import * as vscode from 'vscode';
import { devicesRequest, inspectRequest } from '../../protocol/engine';
import type { Engine } from '../../src/engine/engine';
import { alive, CHECKPOINT, inWorkspace, until, workbenchApi } from './api';

describe('the resident engine', function () {
    this.timeout(300_000);
    let engine: Engine;

    before(async () => {
        const part = (await workbenchApi()).engine();
        assert.ok(part, 'the workspace is trusted, so there is an engine');
        engine = part.engine;
    });
    after(() => engine.stop());

    const pid = (): number => (engine.state.kind === 'ready' ? engine.state.session.hello.pid : assert.fail(`the engine is ${engine.state.kind}`));

    it('is not started before somebody needs it', () => {
        assert.equal(engine.state.kind, 'idle');
    });

    it('starts with the first request and answers', async () => {
        const checkpoint = await engine.request(inspectRequest, { checkpoint: inWorkspace('checkpoints', CHECKPOINT) });
        assert.equal(checkpoint.architecture, 'LlamaForCausalLM');
        assert.ok(checkpoint.modules.some(({ quantizable }) => quantizable));
        assert.equal(engine.state.kind === 'ready' && engine.state.session.hello.host, hostname());
        const first = pid();
        const { devices } = await engine.request(devicesRequest, {});
        assert.ok(devices.some(({ id }) => id === 'cpu'));
        assert.equal(pid(), first);
    });

    it('passes on why a request cannot be answered', async () => {
        await assert.rejects(engine.request(inspectRequest, { checkpoint: inWorkspace('no-such-folder') }), /no-such-folder/);
        assert.equal(engine.state.kind, 'ready');
    });

    it('comes back after a crash, and callers wait for it', async () => {
        const before = pid();
        process.kill(before, 'SIGKILL');
        await until('the crash to be noticed', () => engine.state.kind !== 'ready');
        await engine.request(devicesRequest, {});
        assert.notEqual(pid(), before);
    });

    it('is stopped and started by commands, and leaves no process', async () => {
        const before = pid();
        await vscode.commands.executeCommand('quant.stopEngine');
        assert.equal(engine.state.kind, 'idle');
        assert.equal(alive(before), false);
        await vscode.commands.executeCommand('quant.startEngine');
        const second = pid();
        assert.ok(engine.devices);
        await vscode.commands.executeCommand('quant.restartEngine');
        assert.notEqual(pid(), second);
        assert.equal(alive(second), false);
    });

    it('examines the environment', async () => {
        await vscode.commands.executeCommand('quant.doctor');
        const report = await until('the report', () => vscode.workspace.textDocuments.find(({ uri }) => uri.scheme === 'quant-report'));
        assert.match(report.getText(), /\| torch \|/);
        assert.doesNotMatch(report.getText(), /❌/);
    });
});
