import path from 'node:path';
import type { Events } from '../../protocol/generated/events';
import type { LiveMeasurements } from '../../protocol/panel';
import { RUN_FILES } from '../../protocol/runs';
import type { Log } from '../base/log';
import { LineTail } from './tail';

type Layers = Record<string, LiveMeasurements['layers'][string]>;

/** What a run has measured so far, collected from its events. */
export class LiveCollector {
    private readonly tail: LineTail;
    private layers: Layers = {};
    private candidates = new Set<string>();

    constructor(
        directory: string,
        private readonly log: Log,
    ) {
        this.tail = new LineTail(path.join(directory, RUN_FILES.events));
    }

    /** Takes in what was appended since; true when a measurement is new. */
    async update(): Promise<boolean> {
        const { lines, restarted } = await this.tail.read();
        if (restarted) {
            this.layers = {};
            this.candidates = new Set();
        }
        const before = Object.keys(this.layers).length;
        for (const line of lines) this.take(line);
        return restarted || Object.keys(this.layers).length !== before;
    }

    get measurements(): LiveMeasurements {
        return { layers: { ...this.layers }, candidates: [...this.candidates] };
    }

    private take(line: string): void {
        const event = parseEvent(line);
        if (!event) {
            this.log.warn(`an event that cannot be read: ${line.slice(0, 200)}`);
            return;
        }
        if (event.type !== 'layer-measured') return;
        this.layers[event.layer] = event.candidates;
        for (const label of Object.keys(event.candidates)) this.candidates.add(label);
    }
}

export function parseEvent(line: string): Events | undefined {
    try {
        const value: unknown = JSON.parse(line);
        return typeof value === 'object' && value !== null && 'type' in value ? (value as Events) : undefined;
    } catch {
        return undefined;
    }
}
