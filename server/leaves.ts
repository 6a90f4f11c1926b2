import { isMap, isScalar, isSeq } from 'yaml';
import { Lately } from './lately';
import { levelOf, type Leaf, type Level } from './levels';
import { faultsOf, NOTHING, parsed, Reader, type Entry, type Item, type SyntaxFault, type Written } from './written';

/** What stands in a text. */
export interface Contents {
    readonly contents: Written | undefined;
    readonly errors: readonly SyntaxFault[];
}

/**
 * Reads a text. Between two keystrokes nearly all of it stays as it was: the entries of its sections and lists are read one by one and remembered by their
 * text. Where it is not certain that the whole says the same (docs/decisions/0023-reading-by-entries.md) the whole is read.
 */
export function contentsOf(text: string): Contents {
    return joined(withLines(text)) ?? wholeContentsOf(text);
}

/** The same, always read as a whole. */
export function wholeContentsOf(text: string): Contents {
    const read = withLines(text);
    const document = parsed(read);
    return { contents: new Reader(read).written(document.contents), errors: faultsOf(document) };
}

/** A lone carriage return ends a line, too (YAML 1.2, section 5.4); the parser does not know it. */
function withLines(text: string): string {
    return text.replace(/\r(?!\n)/g, '\n');
}

function joined(text: string): Contents | undefined {
    const level = levelOf(text);
    if (!level) return undefined;
    const errors: SyntaxFault[] = [];
    const contents = join(level);
    return contents && { contents, errors };

    function join({ kind, start, parts }: Level): Written | undefined {
        const [entries, items]: [Entry[], Item[]] = [[], []];
        for (const part of parts) {
            if ('level' in part) {
                const value = join(part.level);
                if (!value) return undefined;
                entries.push({ name: part.name, key: [part.start, part.start + part.name.length], value, at: 0 });
                continue;
            }
            const known = remembered(part, kind, text);
            if (!known) return undefined;
            const at = part.start - part.frame.length;
            for (const entry of known.entries) entries.push({ ...entry, at });
            for (const { value } of known.items) items.push({ value, at });
            for (const { start, end, message } of known.errors) errors.push({ start: at + start, end: at + end, message });
        }
        return { ...NOTHING, kind, start, end: start, entries, items };
    }
}

/** What a leaf says. */
interface Read extends Pick<Written, 'entries' | 'items'> {
    readonly errors: readonly SyntaxFault[];
}

/** More than a long recipe has, even with every state of an entry that is being typed. */
const leaves = new Lately<Read | undefined>(4000);

function remembered(leaf: Leaf, kind: Level['kind'], text: string): Read | undefined {
    const own = leaf.frame + text.slice(leaf.start, leaf.end);
    return leaves.get(`${leaf.depth} ${leaf.next.length} ${own}${leaf.next}`, (key) => {
        const end = key.length - leaf.next.length;
        return readLeaf(key.slice(end - own.length, end), leaf, kind);
    });
}

/** undefined: it does not say the same wherever it stands, or is not certain to end where the next entry begins. */
function readLeaf(own: string, { frame, depth, next }: Leaf, kind: Level['kind']): Read | undefined {
    const text = own + next;
    const document = parsed(text);
    const errors = faultsOf(document);
    if (errors.some(({ start, end }) => start < frame.length || start >= own.length || end > own.length)) return undefined;
    let node: unknown = document.contents;
    let found = 0;
    for (let level = 0; ; level++) {
        if (!(isMap(node) || isSeq(node)) || node.flow) return undefined;
        const last = node.items.at(-1);
        const [key, value] = isMap(node) ? [node.items.at(-1)?.key, node.items.at(-1)?.value] : [last, last];
        if (next !== '' && isScalar(key) && (key.range?.[0] ?? 0) >= own.length) {
            if (!isScalar(value) || value.value !== null) return undefined;
            node.items.pop();
            found++;
        }
        if (level === depth) break;
        if (!isMap(node) || node.items.length !== 1) return undefined;
        node = node.items[0]!.value;
    }
    if (found !== (next === '' ? 0 : 1) || isMap(node) !== (kind === 'mapping') || node.range?.[0] !== frame.length + /^ */.exec(own.slice(frame.length))![0].length) return undefined;
    const reader = new Reader(text);
    const written = reader.written(node);
    return written && reader.isAlone ? { entries: written.entries, items: written.items, errors } : undefined;
}
