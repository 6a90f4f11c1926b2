import * as l10n from '@vscode/l10n';
import { bits } from '../../protocol/decimals';
import type { Preflight } from '../../protocol/generated/protocol';
import { escapeMarkdown, formatBytes } from '../base/text';
import { sentences } from './problems';

/** What `quant-engine preflight --json` printed; undefined: it printed something else. */
export function parseForecast(stdout: string): Preflight | undefined {
    try {
        const parsed: unknown = JSON.parse(stdout);
        const isForecast = typeof parsed === 'object' && parsed !== null && 'findings' in parsed && 'phases' in parsed;
        return isForecast ? (parsed as Preflight) : undefined;
    } catch {
        return undefined;
    }
}

/** What a run will need, for a person: sizes, time and memory by phase, disks. */
export function forecastMarkdown(recipe: string, found: Preflight): string {
    const { output, device } = found;
    const lines = [`# ${escapeMarkdown(recipe)}`, ''];
    if (device) lines.push(l10n.t('{0} on {1}', escapeMarkdown(found.architecture), escapeMarkdown(device.name)), '');
    if (output) lines.push(...sizes(output, found.original_bytes));
    if (found.phases.length > 0) lines.push(...phases(found));
    for (const { what, path, needed_bytes: needed, free_bytes: free } of found.disks) {
        lines.push(`- ${l10n.t('Disk for {0}: {1} needed, {2} free', escapeMarkdown(what), formatBytes(needed), formatBytes(free))} (${escapeMarkdown(path)})`);
    }
    if (found.findings.length > 0) lines.push('', `## ${l10n.t('What stands in the way')}`, '');
    for (const { severity, line, message, advice } of found.findings) lines.push(`- ${l10n.t('Line {0}: {1}', line, escapeMarkdown(`${severity}: ${sentences(message, advice)}`))}`);
    return `${lines.join('\n')}\n`;
}

function sizes(output: NonNullable<Preflight['output']>, original: number): string[] {
    const row = (name: string, tensors: number, weight: string): string => `| ${name} | ${formatBytes(tensors)} | ${weight} |`;
    const rows = [row(l10n.t('Original'), original, ''), row(output.exact ? l10n.t('Output') : l10n.t('Output, likely choice'), output.tensor_bytes, bits(output.bits_per_weight))];
    if (output.least) rows.push(row(l10n.t('Smallest choice'), output.least.tensor_bytes, bits(output.least.bits_per_weight)));
    if (output.most) rows.push(row(l10n.t('Largest choice'), output.most.tensor_bytes, bits(output.most.bits_per_weight)));
    return [`| | ${l10n.t('Tensors')} | ${l10n.t('Bits per weight')} |`, '| --- | ---: | ---: |', ...rows, ''];
}

function phases({ phases: all, seconds, host_bytes: host, device_bytes: device }: Preflight): string[] {
    const row = (name: string, time: number, memory: number, gpu: number | null): string =>
        `| ${name} | ${duration(time)} | ${formatBytes(memory)} |${device === null ? '' : ` ${gpu === null ? '' : formatBytes(gpu)} |`}`;
    const gpuTitle = device === null ? '' : ` ${l10n.t('GPU memory')} |`;
    return [
        `| ${l10n.t('Phase')} | ${l10n.t('Time')} | ${l10n.t('Memory')} |${gpuTitle}`, `| --- | ---: | ---: |${device === null ? '' : ' ---: |'}`,
        ...all.map((phase) => row(escapeMarkdown(phase.phase), phase.seconds, phase.host_bytes, phase.device_bytes)),
        row(`**${l10n.t('All')}**`, seconds, host, device), '',
    ];
}

/** As exact as a forecast deserves. */
function duration(seconds: number): string {
    if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
