import type { Result } from './generated/result';
import type { RunRecord } from './generated/run';

/**
 * Messages between a panel and its host: two discriminated unions. Every host event is a full snapshot of its key, so that losing
 * one is harmless. The host validates what it receives with `isPanelMessage`.
 */
export const PANEL_PROTOCOL_VERSION = 1;

/** What a panel persists with `setState`: where it is and how it is arranged, never data. */
export interface SensitivityState {
    readonly v: 1;
    readonly runDirectory: string;
    readonly view: 'map' | 'table';
    readonly sort: SortKey;
    readonly descending: boolean;
    /** Whether colours compare all values or those of one column; absent: all. */
    readonly scale?: 'all' | 'column';
    readonly selection: { readonly layer: string; readonly candidate: string } | null;
}

/** `order`: as in the model; `name`; or a candidate's label prefixed with `candidate:`. */
export type SortKey = 'order' | 'name' | `candidate:${string}`;

export interface LiveMeasurements {
    /** Layer → candidate → measurement, as far as the run has got. */
    readonly layers: Readonly<Record<string, Result['layers'][number]['candidates']>>;
    readonly candidates: readonly string[];
}

/** A later run of the same recipe: one that is going on, or else one that has a result. */
export interface NewerRun {
    readonly state: RunRecord['state'];
    readonly progress: RunRecord['progress'];
}

export type HostMessage =
    | {
          readonly type: 'snapshot';
          readonly version: number;
          readonly runDirectory: string;
          readonly run: RunRecord;
          /** Cancelling takes long: it can be stopped at once. */
          readonly stoppable: boolean;
          /** null until the run has written one. */
          readonly result: Result | null;
          readonly live: LiveMeasurements | null;
          /** Localised strings by key; the English text is the key. */
          readonly strings: Readonly<Record<string, string>>;
          readonly locale: string;
      }
    | { readonly type: 'newer'; readonly version: number; readonly runDirectory: string; readonly newer: NewerRun | null }
    | { readonly type: 'gone'; readonly version: number; readonly runDirectory: string; readonly reason: string }
    | { readonly type: 'copy-table'; readonly version: number; readonly format: 'csv' | 'markdown' };

export type PanelMessage =
    | { readonly type: 'ready'; readonly version: number; readonly load: string }
    | { readonly type: 'copied'; readonly text: string; readonly format: 'csv' | 'markdown' }
    | { readonly type: 'open-layer'; readonly layer: string }
    | { readonly type: 'cancel' }
    | { readonly type: 'stop' }
    | { readonly type: 'resume' }
    | { readonly type: 'show-newer' }
    | { readonly type: 'show-log' };

const strings = { ready: ['load'], copied: ['text', 'format'], 'open-layer': ['layer'], cancel: [], stop: [], resume: [], 'show-newer': [], 'show-log': [] } as const;

/** Whether an untrusted value is a message a panel may send. */
export function isPanelMessage(value: unknown): value is PanelMessage {
    if (typeof value !== 'object' || value === null) return false;
    const record = value as Record<string, unknown>;
    if (typeof record.type !== 'string' || !Object.hasOwn(strings, record.type)) return false;
    const required: readonly string[] = strings[record.type as keyof typeof strings];
    return required.every((key) => typeof record[key] === 'string');
}
