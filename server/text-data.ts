import { open, type FileHandle } from 'node:fs/promises';
import * as l10n from '@vscode/l10n';
import { isRecord } from '../protocol/safetensors';
import type { FileFact, LineCount } from './facts';

/** How much of a data file is searched for text. */
const SEARCHED_BYTES = 1 << 20;
/** How much of it is read to count its lines; of longer ones the rest is taken to have lines as long. */
const COUNTED_BYTES = 32 << 20;
const NEWLINE = 10;

type Texts = Pick<FileFact, 'text' | 'fields' | 'lines'>;

/** What a file of texts holds: the first text, as the engine would find it, the fields beside it, and how many lines. */
export async function readTexts(file: string, size: number): Promise<Texts> {
    const handle = await open(file, 'r');
    try {
        const buffer = Buffer.alloc(Math.min(size, SEARCHED_BYTES));
        await handle.read(buffer, 0, buffer.length, 0);
        const text = buffer.toString('utf8').replace(/^\uFEFF/, '');
        const whole = size <= SEARCHED_BYTES;
        const lines = await countLines(handle, size);
        if (/\.(jsonl|ndjson)$/i.test(file)) return { ...textOfLines(text.split('\n').slice(0, whole ? undefined : -1), whole), lines };
        return { text: /\S/.test(text) ? 'some' : whole ? 'none' : undefined, lines };
    } finally {
        await handle.close();
    }
}

/** undefined: the file is not as long as it was. */
async function countLines(handle: FileHandle, size: number): Promise<LineCount | undefined> {
    const buffer = Buffer.alloc(Math.min(size, SEARCHED_BYTES));
    const counted = Math.min(size, COUNTED_BYTES);
    let [ends, position, last] = [0, 0, NEWLINE];
    while (position < counted) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, counted - position), position);
        if (bytesRead === 0) return undefined;
        for (let at = buffer.indexOf(NEWLINE); at >= 0 && at < bytesRead; at = buffer.indexOf(NEWLINE, at + 1)) ends++;
        last = buffer[bytesRead - 1]!;
        position += bytesRead;
    }
    if (counted < size) return { count: Math.round((ends * size) / counted), isExact: false };
    return { count: last === NEWLINE ? ends : ends + 1, isExact: true };
}

function textOfLines(lines: readonly string[], whole: boolean): Pick<FileFact, 'text' | 'fields'> {
    let fields: readonly string[] | undefined;
    for (const [index, line] of lines.entries()) {
        if (line.trim() === '') continue;
        let parsed: unknown;
        try {
            parsed = JSON.parse(line);
        } catch {
            return { text: { broken: l10n.t('line {0} is not JSON', index + 1) } };
        }
        const text = isRecord(parsed) ? (parsed.text ?? '') : undefined;
        if (typeof text !== 'string') return { text: { broken: l10n.t('line {0} has no string in "text"', index + 1) } };
        if (/\p{Surrogate}/u.test(text)) return { text: { broken: l10n.t('line {0} has half of a surrogate pair, which is no character', index + 1) } };
        if (isRecord(parsed)) fields ??= Object.keys(parsed);
        if (text.trim() !== '') return { text: 'some', fields };
    }
    return whole ? { text: 'none', fields } : { text: undefined, fields };
}
