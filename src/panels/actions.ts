import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { PanelMessage } from '../../protocol/panel';
import { RUN_FILES } from '../../protocol/runs';
import type { RunCommands } from '../runs/commands';
import { newerRun } from '../runs/newer';
import type { RunPlaces } from '../runs/places';
import { readResult } from '../runs/record';
import { isShowable } from '../runs/run';
import { selectRun, type Target } from '../runs/select';
import type { RunStore } from '../runs/store';
import type { Notifier } from '../ui/notify';
import { decidingPlace } from './decidingPlace';
import { showableRun, type SensitivityPanels } from './panels';

/** What panels ask for, and opening them. */
export class PanelActions {
    constructor(
        private readonly store: RunStore,
        private readonly notify: Notifier,
        private readonly places: RunPlaces,
        /** undefined where nothing may be started or stopped. */
        private readonly commands: () => RunCommands | undefined,
    ) {}

    async openResults(panels: SensitivityPanels, target: Target): Promise<void> {
        const picked = await selectRun(this.store, target, isShowable, vscode.l10n.t('Results of which run?'));
        const run = picked && typeof target === 'string' && target === picked.directory ? picked : picked && showableRun(this.store.of(picked.recipe).filter(isShowable));
        if (run) panels.show(run);
        else this.notify.info(vscode.l10n.t('There is no result yet. Run the recipe first.'));
    }

    act(panels: SensitivityPanels, message: Exclude<PanelMessage, { type: 'ready' }>, directory: string): void {
        this.perform(panels, message, directory).catch((error: unknown) => this.notify.error(vscode.l10n.t('The panel’s action failed: {0}', String(error))));
    }

    private async perform(panels: SensitivityPanels, message: Exclude<PanelMessage, { type: 'ready' }>, directory: string): Promise<void> {
        switch (message.type) {
            case 'copied':
                await vscode.env.clipboard.writeText(message.text);
                vscode.window.setStatusBarMessage(vscode.l10n.t('Table copied'), 3000);
                return;
            case 'cancel':
                return this.commands()?.cancel(directory);
            case 'stop':
                return this.commands()?.stop(directory);
            case 'resume':
                await this.commands()?.resume(directory);
                return;
            case 'show-newer': {
                const run = newerRun(this.store.of(this.store.get(directory)?.recipe ?? ''), directory);
                if (run) panels.show(run);
                return;
            }
            case 'show-log':
                return this.places.showLog(directory);
            case 'open-layer':
                return this.openLayer(directory, message.layer);
        }
    }

    /** Shows what in the recipe decided about a layer. */
    private async openLayer(directory: string, layer: string): Promise<void> {
        const run = this.store.get(directory);
        if (!run) return;
        const rule = (await readResult(directory))?.layers.find(({ name }) => name === layer)?.rule ?? 'default';
        const text = await readFile(run.recipe, 'utf8');
        const ran = await readFile(path.join(directory, RUN_FILES.recipe), 'utf8').catch(() => text);
        const place = decidingPlace(text, ran, rule);
        const editor = await vscode.window.showTextDocument(vscode.Uri.file(run.recipe), { viewColumn: vscode.ViewColumn.One });
        if (!place) {
            this.notify.info(vscode.l10n.t('What decided about {0} is not in the recipe any more.', layer));
            return;
        }
        const range = new vscode.Range(editor.document.positionAt(place.start), editor.document.positionAt(place.end));
        editor.selection = new vscode.Selection(range.start, range.end);
        editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    }
}
