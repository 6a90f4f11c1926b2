import * as l10n from '@vscode/l10n';
import path from 'node:path';
import { bits, comparableDecimals, decimals, significantDecimals } from '../../protocol/decimals';
import type { Result, Score } from '../../protocol/generated/result';
import type { Counter } from '../../protocol/generated/run';
import { escapeMarkdown } from '../base/text';
import { isShowable, type Run } from './run';
import { isActive, type RunState } from './state';

/** What a tree item of a run shows, without the editor's classes. */
export interface RunItem {
    readonly id: string;
    readonly label: string;
    readonly description: string;
    readonly icon: string;
    readonly color: string | undefined;
    /** Words that menus look for: `run`, and `running` (can be cancelled), `stoppable`, `resumable`, `result`, `checkpoint`, `deletable` where they apply. */
    readonly contextValue: string;
    readonly accessibleLabel: string;
}

const ICONS: Readonly<Record<RunState, readonly [icon: string, color?: string]>> = {
    starting: ['sync~spin'],
    running: ['sync~spin'],
    cancelling: ['loading~spin'],
    cancelled: ['circle-slash'],
    failed: ['error', 'testing.iconFailed'],
    interrupted: ['debug-disconnect', 'problemsWarningIcon.foreground'],
    done: ['pass', 'testing.iconPassed'],
    'done-with-fallbacks': ['warning', 'problemsWarningIcon.foreground'],
};

export function runItem(run: Run, locale: string, now = new Date()): RunItem {
    const [icon, color] = ICONS[run.state];
    const what = runStatus(run);
    const when = formatTime(run.created, locale);
    return {
        id: run.directory, label: run.name, description: `${what} · ${shortTime(run.created, locale, now)}`, icon, color, contextValue: contextValue(run),
        accessibleLabel: l10n.t('{0}, {1}, started {2}', run.name, what, when),
    };
}

function contextValue(run: Run): string {
    const words = ['run'];
    if (run.stoppable) words.push('stoppable');
    else if (isActive(run.state) && run.state !== 'cancelling') words.push('running');
    if (run.resumable) words.push('resumable');
    if (isShowable(run)) words.push('result');
    if (run.hasResult && run.record?.output && !isActive(run.state)) words.push('checkpoint');
    if (!isActive(run.state)) words.push('deletable');
    return words.join(' ');
}

/** State and progress in a few words: `quantize 3/6`, `quantize 3/6, 4 min left`. */
export function runStatus(run: Run): string {
    if (run.state === 'cancelling') return l10n.t('Cancelling…');
    if (run.state === 'running' && run.progress) return progressText(run.progress);
    return stateName(run.state);
}

export function progressText({ phase, done, total, seconds_left: left }: Counter): string {
    if (total <= 0) return phaseName(phase);
    const units = `${phaseName(phase)} ${done}/${total}`;
    // Seconds are over before they are read.
    return typeof left === 'number' && left >= 60 ? l10n.t('{0}, {1} left', units, inMinutes(left)) : units;
}

function inMinutes(seconds: number): string {
    const minutes = Math.round(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function phaseName(phase: Counter['phase']): string {
    switch (phase) {
        case 'prepare': return l10n.t('prepare');
        case 'importance': return l10n.t('weigh');
        case 'measure': return l10n.t('measure');
        case 'choose': return l10n.t('choose');
        case 'quantize': return l10n.t('quantize');
        case 'evaluate': return l10n.t('evaluate');
        case 'write': return l10n.t('write');
    }
}

export function stateName(state: RunState): string {
    switch (state) {
        case 'starting': return l10n.t('starting');
        case 'running': return l10n.t('running');
        case 'cancelling': return l10n.t('cancelling');
        case 'cancelled': return l10n.t('cancelled');
        case 'failed': return l10n.t('failed');
        case 'interrupted': return l10n.t('interrupted');
        case 'done': return l10n.t('done');
        case 'done-with-fallbacks': return l10n.t('done with fallbacks');
    }
}

function formatTime(iso: string, locale: string): string {
    const time = new Date(iso);
    return Number.isNaN(time.getTime()) ? iso : time.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short' });
}

/** The time alone for a run of today: a view is narrow. */
function shortTime(iso: string, locale: string, now: Date): string {
    const time = new Date(iso);
    return time.toDateString() === now.toDateString() ? time.toLocaleTimeString(locale, { timeStyle: 'short' }) : formatTime(iso, locale);
}

/** The tooltip, in Markdown. Values come from files and are escaped. */
export function runTooltip(run: Run, result: Result | undefined): string {
    const lines = [`**${escapeMarkdown(run.name)}** — ${runStatus(run)}`, ''];
    const add = (name: string, value: string | null | undefined): void => {
        if (value) lines.push(`- ${name}: ${escapeMarkdown(value)}`);
    };
    if (isActive(run.state)) add(l10n.t('Now'), run.progress?.doing);
    add(l10n.t('Recipe'), run.recipe);
    add(l10n.t('Checkpoint'), run.record?.model);
    add(l10n.t('Output'), run.record?.output);
    add(l10n.t('Device'), run.record && `${run.record.device} (${run.record.host})`);
    add(l10n.t('Problem'), run.record?.error?.message);
    add(l10n.t('Advice'), run.record?.advice);
    if (run.state === 'interrupted') add(l10n.t('Problem'), l10n.t('the process ended without finishing the run'));
    if (result) {
        const { perplexity, baseline_perplexity: baseline, kl } = result.scores;
        add(l10n.t('Bits per weight'), bits(result.sizes.bits_per_weight));
        if (perplexity) {
            const digits = comparableDecimals([perplexity, ...(baseline ? [baseline] : [])].map(({ value }) => value));
            add(l10n.t('Perplexity'), baseline ? `${measured(perplexity, digits)} (${l10n.t('original')} ${measured(baseline, digits)})` : measured(perplexity, digits));
        }
        if (kl) add(l10n.t('KL divergence'), measured(kl, significantDecimals(kl.value)));
    }
    return lines.join('\n');
}

/** A figure with its standard error. */
function measured(score: Score, digits: number): string {
    return `${decimals(score.value, digits)} ± ${decimals(score.standard_error, digits)}`;
}

/** What goes when a run is deleted, and what stays. */
export function deletionDetail({ directory, record, hasResult }: Run, how: 'trash' | 'delete', shown: (file: string) => string): string {
    const what = how === 'trash'
        ? l10n.t('Its directory {0}, with its results and log, is moved to the trash.', shown(directory))
        : l10n.t('Its directory {0}, with its results and log, is deleted for good.', shown(directory));
    const output = hasResult ? record?.output : null;
    if (!output) return what;
    const inside = !path.relative(directory, output).startsWith('..');
    const checkpoint = inside
        ? l10n.t('So is the quantized checkpoint, which lies in it.')
        : l10n.t('The quantized checkpoint {0} stays.', shown(output));
    return `${what}\n\n${checkpoint}`;
}
