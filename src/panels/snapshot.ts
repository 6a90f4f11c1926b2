import * as l10n from '@vscode/l10n';
import type { Result } from '../../protocol/generated/result';
import type { RunRecord } from '../../protocol/generated/run';
import { PANEL_PROTOCOL_VERSION, type HostMessage, type SensitivityState } from '../../protocol/panel';
import type { Log } from '../base/log';
import { LiveCollector } from '../runs/live';
import { readResult } from '../runs/record';
import type { Run } from '../runs/run';
import { isActive } from '../runs/state';

export interface Translations {
    readonly strings: Readonly<Record<string, string>>;
    readonly locale: string;
}

/** Everything a panel shows of one run, read from the run directory; keeps what need not be read twice. */
export class SnapshotSource {
    private readonly live: LiveCollector;
    private result: { readonly updated: string; readonly value: Result | undefined } | undefined;

    constructor(
        private readonly directory: string,
        private readonly translations: Translations,
        log: Log,
    ) {
        this.live = new LiveCollector(directory, log);
    }

    /** undefined while the run has not written its record. */
    async read(run: Run | undefined): Promise<HostMessage | undefined> {
        if (!run) return this.gone();
        if (!run.record) return undefined;
        const result = await this.readResult(run, run.record);
        if (!result) await this.live.update();
        return {
            type: 'snapshot', version: PANEL_PROTOCOL_VERSION, runDirectory: this.directory, run: shownRecord(run, run.record),
            stoppable: run.stoppable, result: result ?? null, live: result ? null : this.live.measurements, ...this.translations,
        };
    }

    private gone(): HostMessage {
        return { type: 'gone', version: PANEL_PROTOCOL_VERSION, runDirectory: this.directory, reason: l10n.t('Its directory was deleted or moved.') };
    }

    /** A result belongs to a run that has ended; one that is being resumed still has the old one lying there. */
    private async readResult(run: Run, record: RunRecord): Promise<Result | undefined> {
        if (!run.hasResult || isActive(run.state)) return undefined;
        if (this.result?.updated !== record.updated) this.result = { updated: record.updated, value: await readResult(this.directory) };
        return this.result.value;
    }
}

/** A process that is gone without a word leaves “running” in its record: the panel is told what is known. */
function shownRecord(run: Run, record: RunRecord): RunRecord {
    if (run.state === 'cancelling') return { ...record, state: 'cancelling' };
    if (run.state !== 'interrupted') return record;
    const message = l10n.t('The process ended without finishing the run.');
    return {
        ...record, state: 'failed', advice: record.advice ?? (record.resumable ? l10n.t('Resume it, or run the recipe again.') : l10n.t('Run the recipe again.')),
        error: record.error ?? {
            severity: 'error', code: 'interrupted', message, layer: null, line: null, column: null, end_line: null, end_column: null,
        },
    };
}

/** What a panel stored of itself, looked at before it is used: it may come from another version. */
export function isSensitivityState(value: unknown): value is Pick<SensitivityState, 'v' | 'runDirectory'> {
    if (typeof value !== 'object' || value === null) return false;
    const state = value as Partial<SensitivityState>;
    return state.v === 1 && typeof state.runDirectory === 'string' && state.runDirectory !== '';
}
