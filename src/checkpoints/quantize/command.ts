import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { readCheckpoint, type CheckpointHeader } from '../../../protocol/checkpoint';
import { CheckpointError } from '../../../protocol/safetensors';
import { errorText } from '../../base/log';
import type { Notifier } from '../../ui/notify';
import type { CheckpointRegistry } from '../registry';
import { freeRecipePath, placeRecipe } from './placing';
import { recipeText } from './recipeText';
import { readSchemaFacts, type SchemaFacts } from './schemaChoices';
import { askForRecipe } from './wizard';

/** The command “Quantize…”: from a checkpoint to an open recipe. */
export class QuantizeCommand {
    constructor(
        private readonly checkpoints: CheckpointRegistry,
        private readonly schemaFile: vscode.Uri,
        private readonly notify: Notifier,
    ) {}

    /** `uri` and `selected` as the explorer gives them; neither from the palette or a key. */
    async run(uri?: vscode.Uri, selected?: readonly vscode.Uri[]): Promise<vscode.Uri | undefined> {
        const folder = await this.resolve(uri ?? selected?.[0]);
        if (!folder) return undefined;
        const { choices, families, groupSizes } = readSchemaFacts(new TextDecoder().decode(await vscode.workspace.fs.readFile(this.schemaFile)));
        const header = await this.read(folder, families);
        if (!header) return undefined;
        const workspaceFolders = (vscode.workspace.workspaceFolders ?? []).map(({ uri: { fsPath } }) => fsPath);
        const placing = await placeRecipe(folder.fsPath, workspaceFolders);
        const answers = await askForRecipe({ header, choices, groupSizes, folder: placing.folder });
        if (!answers) return undefined;
        const recipe = await freeRecipePath(placing.folder, path.basename(folder.fsPath));
        const text = recipeText({
            recipe, checkpoint: folder.fsPath, calibration: placing.calibration, heldOut: placing.heldOut, maximumTokens: header.maximumTokens, ...answers,
        });
        try {
            await writeFile(recipe, text, { flag: 'wx' });
        } catch (error) {
            this.notify.error(vscode.l10n.t('The recipe {0} could not be written: {1}', recipe, errorText(error)));
            return undefined;
        }
        const target = vscode.Uri.file(recipe);
        await vscode.window.showTextDocument(target, { preview: false });
        return target;
    }

    private async resolve(uri: vscode.Uri | undefined): Promise<vscode.Uri | undefined> {
        if (!uri) return this.ask();
        const known = this.checkpoints.containing(uri);
        if (known) return known;
        const stat = await vscode.workspace.fs.stat(uri);
        return stat.type & vscode.FileType.Directory ? uri : vscode.Uri.joinPath(uri, '..');
    }

    private async ask(): Promise<vscode.Uri | undefined> {
        const known = this.checkpoints.sources.map((uri) => ({
            label: path.posix.basename(uri.path), description: vscode.workspace.asRelativePath(vscode.Uri.joinPath(uri, '..')), uri,
        }));
        const other = { label: vscode.l10n.t('$(folder-opened) Open folder…'), alwaysShow: true, uri: undefined };
        if (known.length === 0) return this.browse();
        const picked = await vscode.window.showQuickPick([...known, other], {
            title: vscode.l10n.t('Quantize'), placeHolder: vscode.l10n.t('Which checkpoint?'), matchOnDescription: true,
        });
        if (!picked) return undefined;
        return picked.uri ?? this.browse();
    }

    private async browse(): Promise<vscode.Uri | undefined> {
        const folders = await vscode.window.showOpenDialog({
            canSelectFiles: false, canSelectFolders: true, title: vscode.l10n.t('Choose a checkpoint folder'), openLabel: vscode.l10n.t('Quantize'),
        });
        return folders?.[0];
    }

    /** Refuses, in one sentence, what the engine would refuse later. */
    private async read(folder: vscode.Uri, families: SchemaFacts['families']): Promise<CheckpointHeader | undefined> {
        const refuse = (reason: string): undefined => {
            this.notify.error(vscode.l10n.t('{0} cannot be quantized: {1}.', folder.fsPath, reason));
            return undefined;
        };
        try {
            const header = await readCheckpoint(folder.fsPath, families);
            if (header.quantization !== null) return refuse(vscode.l10n.t('it is already quantized ({0})', header.quantization));
            if (Object.hasOwn(families, header.architecture) || header.linears.length > 0) return header;
            return refuse(vscode.l10n.t('architecture “{0}” is not supported; supported: {1}', header.architecture, Object.keys(families).join(', ')));
        } catch (error) {
            if (!(error instanceof CheckpointError) || error.code !== 'model-not-safetensors') return refuse(errorText(error));
            return refuse(vscode.l10n.t('it has only pickle weights ({0}), which can execute code when they are loaded; convert them to safetensors', error.message));
        }
    }
}
