import type { HostMessage, NewerRun } from '../../protocol/panel';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import type { NoticeText } from './notice';
import { isLive, progressText, silence } from './runState';

type Snapshot = Extract<HostMessage, { type: 'snapshot' }>;

/** What must be said above the figures, most serious first. */
export function noticesOf({ run, result, live }: Snapshot, formats: Formats, now: number): NoticeText[] {
    const notices: NoticeText[] = [];
    const log = { name: 'show-log', title: t('Show Log') } as const;
    const resume = run.resumable ? [{ name: 'resume', title: t('Resume') } as const] : [];
    if (run.state === 'failed') {
        const lines = [run.error?.message, run.advice].filter((line): line is string => typeof line === 'string' && line !== '');
        notices.push({ severity: 'error', title: t('The run failed'), lines, actions: [...resume, log] });
    }
    if (run.state === 'cancelled') {
        const isAnything = (result?.layers.length ?? 0) > 0 || Object.keys(live?.layers ?? {}).length > 0;
        const line = isAnything ? t('What had been measured is shown below.') : t('Nothing had been measured yet.');
        notices.push({ severity: 'information', title: t('The run was cancelled'), lines: [line], actions: resume });
    }
    const seconds = silence(run, now);
    if (seconds !== null) {
        const line = t('It last wrote at {0}, and is busy with a long step or hangs. Its log tells more.', formats.time(run.updated));
        notices.push({ severity: 'information', title: t('No news from the run for {0}', formats.duration(seconds)), lines: [line], actions: [log] });
    }
    const fallen = result?.layers.filter((layer) => layer.fallback !== null) ?? [];
    if (fallen.length > 0) {
        const lines = fallen.map((layer) => `${layer.name}: ${layer.asked ?? t('kept')} → ${layer.applied ?? t('kept')}. ${layer.fallback ?? ''}`);
        const title = fallen.length === 1 ? t('One layer fell back to another method') : t('{0} layers fell back to another method', fallen.length);
        notices.push({ severity: 'warning', title, lines, actions: [] });
    }
    return notices;
}

/** That these figures are not the newest, and how far the newer run is. */
export function newerNotice(newer: NewerRun, formats: Formats): NoticeText {
    const common = { severity: 'information', lines: [], actions: [{ name: 'show-newer', title: t('Show') }] } as const;
    if (!isLive(newer)) return { ...common, title: t('A newer run of this recipe has a result') };
    if (!newer.progress) return { ...common, title: t('A newer run of this recipe is starting') };
    return { ...common, title: t('A newer run of this recipe is in progress'), lines: [progressText(newer, formats)] };
}
