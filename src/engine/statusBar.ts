import { hostname } from 'node:os';
import * as vscode from 'vscode';
import type { CheckpointRegistry } from '../checkpoints/registry';
import type { RunFaults } from '../runs/faults';
import type { RunStore } from '../runs/store';
import type { Engine } from './engine';
import { STATUS_COMMANDS, statusItem } from './status';

const BACKGROUNDS = { normal: undefined, warning: 'statusBarItem.warningBackground', error: 'statusBarItem.errorBackground' } as const;

/**
 * The one status bar item, drawn anew whenever the engine or a run changes. It appears with the first thing that concerns it: a checkpoint, a
 * recipe, a run or a started engine. A window about something else is left alone.
 */
export function showStatus(engine: Engine, store: RunStore, checkpoints: CheckpointRegistry, faults: RunFaults): vscode.Disposable {
    const item = vscode.window.createStatusBarItem('quant.status', vscode.StatusBarAlignment.Left, 10);
    item.name = 'Quant Workbench';
    const isConcerned = (): boolean => engine.state.kind !== 'idle' || store.all.length > 0 || checkpoints.all.length > 0
        || vscode.workspace.textDocuments.some(({ languageId }) => languageId === 'quant-recipe');
    const draw = (): void => {
        if (isConcerned()) item.show();
        const model = statusItem({ engine: engine.state, runs: store.active, devices: engine.devices, host: hostname(), fault: faults.latest });
        const tooltip = new vscode.MarkdownString(model.tooltip, true);
        tooltip.isTrusted = { enabledCommands: STATUS_COMMANDS };
        const background = BACKGROUNDS[model.severity];
        item.text = model.text;
        item.tooltip = tooltip;
        item.command = model.command;
        item.backgroundColor = background === undefined ? undefined : new vscode.ThemeColor(background);
        item.accessibilityInformation = { label: model.accessibleLabel };
    };
    const listeners = [faults.onChange(draw), engine.onState(draw), engine.onDevices(draw), store.onChange(draw), checkpoints.onDidChange(draw), vscode.workspace.onDidOpenTextDocument(draw)];
    draw();
    return vscode.Disposable.from(item, ...listeners);
}
