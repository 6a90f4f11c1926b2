import { hostname } from 'node:os';
import * as vscode from 'vscode';
import type { RunStore } from '../runs/store';
import type { Engine } from './engine';
import { STATUS_COMMANDS, statusItem } from './status';

const BACKGROUNDS = { normal: undefined, warning: 'statusBarItem.warningBackground', error: 'statusBarItem.errorBackground' } as const;

/** The one status bar item, drawn anew whenever the engine or a run changes. */
export function showStatus(engine: Engine, store: RunStore): vscode.Disposable {
    const item = vscode.window.createStatusBarItem('quant.status', vscode.StatusBarAlignment.Left, 10);
    item.name = 'Quant Workbench';
    const draw = (): void => {
        const model = statusItem({ engine: engine.state, runs: store.active, devices: engine.devices, host: hostname() });
        const tooltip = new vscode.MarkdownString(model.tooltip, true);
        tooltip.isTrusted = { enabledCommands: STATUS_COMMANDS };
        const background = BACKGROUNDS[model.severity];
        item.text = model.text;
        item.tooltip = tooltip;
        item.command = model.command;
        item.backgroundColor = background === undefined ? undefined : new vscode.ThemeColor(background);
        item.accessibilityInformation = { label: model.accessibleLabel };
    };
    const listeners = [engine.onState(draw), engine.onDevices(draw), store.onChange(draw)];
    draw();
    item.show();
    return vscode.Disposable.from(item, ...listeners);
}
