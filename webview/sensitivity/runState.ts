import type { Counter, RunRecord } from '../../protocol/generated/run';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';

/** A run that says nothing for this long is pointed out; a block of a large model takes a minute or two. */
const SILENCE_SECONDS = 180;

export function isLive(run: Pick<RunRecord, 'state'>): boolean {
    return run.state === 'starting' || run.state === 'running' || run.state === 'cancelling';
}

export function stateIcon(state: RunRecord['state']): string {
    switch (state) {
        case 'starting':
        case 'running':
        case 'cancelling':
            return 'loading';
        case 'done':
            return 'pass';
        case 'done-with-fallbacks':
            return 'warning';
        case 'failed':
            return 'error';
        case 'cancelled':
            return 'circle-slash';
    }
}

export function stateTitle(state: RunRecord['state']): string {
    switch (state) {
        case 'starting':
            return t('Starting');
        case 'running':
            return t('Running');
        case 'cancelling':
            return t('Cancelling');
        case 'cancelled':
            return t('Cancelled');
        case 'failed':
            return t('Failed');
        case 'done':
            return t('Done');
        case 'done-with-fallbacks':
            return t('Done with fallbacks');
    }
}

export function phaseTitle(phase: Counter['phase']): string {
    switch (phase) {
        case 'prepare':
            return t('Preparing');
        case 'importance':
            return t('Weighing layers by importance');
        case 'measure':
            return t('Measuring candidates');
        case 'choose':
            return t('Choosing methods');
        case 'quantize':
            return t('Quantizing');
        case 'evaluate':
            return t('Evaluating');
        case 'write':
            return t('Writing the checkpoint');
    }
}

/** `Measuring candidates: 3 of 6 blocks`. */
export function progressText(run: Pick<RunRecord, 'state' | 'progress'>, formats: Formats): string {
    const { progress } = run;
    if (run.state === 'cancelling') return t('Cancelling: the run stops at the next layer');
    if (!progress) return run.state === 'starting' ? t('Starting') : t('Running');
    const title = phaseTitle(progress.phase);
    if (progress.total <= 0) return title;
    return t('{0}: {1} of {2} {3}', title, formats.integer(progress.done), formats.integer(progress.total), progress.unit);
}

/** Seconds since the run last wrote, when that is long enough to be worth saying; else null. */
export function silence(run: RunRecord, now: number): number | null {
    if (!isLive(run)) return null;
    const seconds = (now - Date.parse(run.updated)) / 1000;
    return seconds >= SILENCE_SECONDS ? seconds : null;
}

/** Last part of a path in either spelling: the run may have happened on another kind of machine. */
export function baseName(path: string): string {
    return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}
