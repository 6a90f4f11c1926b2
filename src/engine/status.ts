import * as l10n from '@vscode/l10n';
import type { Devices } from '../../protocol/generated/protocol';
import { escapeMarkdown, formatBytes } from '../base/text';
import { runStatus } from '../runs/describe';
import type { RunFault } from '../runs/faults';
import type { Run } from '../runs/run';
import type { EngineState } from './engine';

/** All that the status bar item depends on. */
export interface StatusMessage {
    readonly engine: EngineState;
    /** Active runs, newest first. */
    readonly runs: readonly Run[];
    readonly devices: Devices | undefined;
    /** Why the last attempt to run something came to nothing. */
    readonly fault: Pick<RunFault, 'title' | 'cause'> | undefined;
    readonly host: string;
}

export interface StatusItem {
    readonly text: string;
    /** Markdown. */
    readonly tooltip: string;
    readonly severity: 'normal' | 'warning' | 'error';
    readonly command: string;
    readonly accessibleLabel: string;
}

/** Commands that the tooltip may link to; nothing else in it is trusted. */
export const STATUS_COMMANDS = ['quant.startEngine', 'quant.stopEngine', 'quant.restartEngine', 'quant.freeMemory', 'quant.doctor', 'quant.showLog'] as const;

export function statusItem(message: StatusMessage): StatusItem {
    const { engine, runs, fault } = message;
    if (fault && runs.length === 0 && engine.kind !== 'failed') {
        return {
            text: `$(error) Quant: ${fault.title}`, severity: 'error', tooltip: tooltip(message), command: 'quant.showFault',
            accessibleLabel: l10n.t('Quant: {0}', `${fault.title}: ${fault.cause}`),
        };
    }
    const { icon, words, severity } = summary(engine, runs);
    const memory = runs.length === 0 && engine.kind === 'ready' ? memoryText(message.devices) : '';
    const text = `$(${icon}) Quant: ${words}${memory ? ` · ${memory}` : ''}`;
    return {
        text, severity, tooltip: tooltip(message), accessibleLabel: l10n.t('Quant: {0}', words),
        command: severity === 'error' ? 'quant.showLog' : 'quant.runs.focus',
    };
}

function summary(engine: EngineState, runs: readonly Run[]): { icon: string; words: string; severity: StatusItem['severity'] } {
    const [run] = runs;
    if (run) return { icon: 'loading~spin', words: runs.length > 1 ? l10n.t('{0} runs', runs.length) : runStatus(run), severity: 'normal' };
    switch (engine.kind) {
        case 'idle':
        case 'ready':
            return { icon: 'circuit-board', words: l10n.t('idle'), severity: 'normal' };
        case 'starting':
            return { icon: 'loading~spin', words: l10n.t('starting'), severity: 'normal' };
        case 'stopping':
            return { icon: 'loading~spin', words: l10n.t('stopping'), severity: 'normal' };
        case 'waiting':
            return { icon: 'circuit-board', words: l10n.t('restarting'), severity: 'warning' };
        case 'failed':
            return { icon: 'circuit-board', words: l10n.t('error'), severity: 'error' };
    }
}

function memoryText(devices: Devices | undefined): string {
    const gpu = devices?.devices.find(({ id }) => id !== 'cpu');
    return gpu ? `${formatBytes(gpu.total_bytes - gpu.free_bytes)} / ${formatBytes(gpu.total_bytes)}` : '';
}

function tooltip(message: StatusMessage): string {
    const lines = [`**Quant Workbench** — ${escapeMarkdown(message.host)}`, '', engineLine(message.engine)];
    if (message.fault) lines.push('', `$(error) ${escapeMarkdown(`${message.fault.title}: ${message.fault.cause}`)}`);
    for (const device of message.devices?.devices ?? []) {
        lines.push('', l10n.t('{0}: {1}, {2} of {3} free', escapeMarkdown(device.id), escapeMarkdown(device.name), formatBytes(device.free_bytes), formatBytes(device.total_bytes)));
    }
    for (const run of message.runs) lines.push('', `${escapeMarkdown(run.name)}: ${escapeMarkdown(runStatus(run))}${run.record ? ` (${escapeMarkdown(run.record.device)})` : ''}`);
    lines.push('', links(message.engine).map(([title, command]) => `[${title}](command:${command})`).join(' · '));
    return lines.join('\n');
}

function engineLine(engine: EngineState): string {
    switch (engine.kind) {
        case 'idle': return l10n.t('The engine is not running; it starts when it is needed.');
        case 'starting': return l10n.t('The engine is starting.');
        case 'stopping': return l10n.t('The engine is stopping.');
        case 'ready': {
            const { hello } = engine.session;
            return l10n.t('Engine {0}, Python {1}, pid {2}', escapeMarkdown(hello.engine), escapeMarkdown(hello.python), hello.pid);
        }
        case 'waiting': return l10n.t('The engine is started again in {0} s. {1}', engine.milliseconds / 1000, escapeMarkdown(engine.cause));
        case 'failed': return escapeMarkdown(engine.error.message);
    }
}

function links(engine: EngineState): [string, (typeof STATUS_COMMANDS)[number]][] {
    const on = engine.kind === 'ready' || engine.kind === 'starting' || engine.kind === 'waiting';
    return [
        ...(on ? [[l10n.t('Stop Engine'), 'quant.stopEngine'], [l10n.t('Restart Engine'), 'quant.restartEngine']] as const : [[l10n.t('Start Engine'), 'quant.startEngine']] as const),
        ...(engine.kind === 'ready' ? [[l10n.t('Free GPU Memory'), 'quant.freeMemory']] as const : []),
        [l10n.t('Doctor'), 'quant.doctor'], [l10n.t('Logs'), 'quant.showLog'],
    ].map(([title, command]) => [title, command] as [string, (typeof STATUS_COMMANDS)[number]]);
}
