import { isAlias, isMap, isPair, isScalar, isSeq, parseDocument, type Document, type Node, type Pair, type Scalar } from 'yaml';
import type { Kind } from './schema';

/** A value as YAML reads it, apart from what the schema says of its place. Offsets count from where the text that holds it begins. */
export interface Written {
    readonly start: number;
    readonly end: number;
    readonly kind: Kind;
    /** Of a scalar. */
    readonly value: string | number | boolean | null;
    /** Of a scalar: as written, without quotes. */
    readonly text: string;
    readonly quoted: boolean;
    /** Whether the value is written between braces or brackets. */
    readonly flow: boolean;
    readonly entries: readonly Entry[];
    readonly items: readonly Item[];
    /** What an alias calls it by. */
    readonly anchor?: string;
    /** Of an alias: the anchor that it names. What that is depends on what stands before it. */
    readonly alias?: string;
}

/** Of a list. */
export interface Item {
    /** undefined: nothing is written. */
    readonly value: Written | undefined;
    /** What has to be added to the offsets of the value. */
    readonly at: number;
}

/** Of a mapping. */
export interface Entry extends Item {
    readonly name: string;
    /** Of the key; undefined: it stands nowhere. */
    readonly key: readonly [start: number, end: number] | undefined;
    /** The key as a value, where an alias may speak of it or of what it holds. */
    readonly keyValue?: Written;
}

/** Where the parser stops, in its words. */
export interface SyntaxFault {
    readonly start: number;
    readonly end: number;
    readonly message: string;
}

/** The text must have no lone carriage returns: they end a line, too (YAML 1.2, section 5.4), and the parser does not know it. */
export function parsed(text: string): Document.Parsed {
    return parseDocument(text, { prettyErrors: false, uniqueKeys: false, strict: true });
}

export function faultsOf({ errors }: Document.Parsed): SyntaxFault[] {
    return errors.map(({ pos: [start, end], message }) => ({ start, end, message }));
}

export const NOTHING: Omit<Written, 'start' | 'end'> = { kind: 'nothing', value: null, text: '', quoted: false, flow: false, entries: [], items: [] };

/** Takes from a parsed document what a recipe needs. */
export class Reader {
    /** Whether all of it is read the same wherever it stands: nothing has a tag, no key has an anchor or is an alias. */
    isAlone = true;

    constructor(private readonly text: string) {}

    written(node: unknown): Written | undefined {
        if (isAlias(node)) return { ...NOTHING, ...this.spanOf(node), alias: node.source };
        if (!isMap(node) && !isSeq(node) && !isScalar(node)) return undefined;
        this.isAlone &&= node.tag === undefined;
        const own = { ...NOTHING, ...this.spanOf(node), ...(node.anchor === undefined ? {} : { anchor: node.anchor }) };
        if (isScalar(node)) return { ...own, ...scalar(node) };
        const flow = node.flow === true;
        if (isMap(node)) return { ...own, kind: 'mapping', flow, entries: node.items.filter(isPair).map((pair) => this.entry(pair)) };
        return { ...own, kind: 'list', flow, items: node.items.map((item) => ({ value: this.written(item), at: 0 })) };
    }

    private entry({ key, value }: Pair): Entry {
        const isCollection = isMap(key) || isSeq(key);
        const isNode = isScalar(key) || isCollection || isAlias(key);
        this.isAlone &&= isScalar(key) && key.anchor === undefined && key.tag === undefined;
        const range = isNode ? key.range : undefined;
        const keyValue = isCollection || (isScalar(key) && key.anchor !== undefined) ? this.written(key) : undefined;
        return { name: keyName(key), key: range ? [range[0], range[1]] : undefined, value: this.written(value), at: 0, ...(keyValue && { keyValue }) };
    }

    private spanOf(node: Node): { start: number; end: number } {
        const { text } = this;
        const [start, written] = node.range ?? [0, 0];
        // The parser lets some values end inside of what ends their line.
        const end = text[written - 1] === '\r' && text[written] === '\n' ? Math.max(start, written - 1) : written;
        const isBlock = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED');
        return { start, end: isBlock ? start + text.slice(start, end).trimEnd().length : end };
    }
}

function scalar(node: Scalar): Pick<Written, 'kind' | 'value' | 'text' | 'quoted'> {
    return {
        kind: kindOf(node.value), value: scalarValue(node.value), text: typeof node.value === 'string' ? node.value : (node.source ?? ''),
        quoted: node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE',
    };
}

function kindOf(value: unknown): Kind {
    if (typeof value === 'number' || typeof value === 'bigint') return Number.isInteger(Number(value)) ? 'integer' : 'number';
    if (typeof value === 'boolean') return 'boolean';
    return value === null || value === undefined ? 'nothing' : 'text';
}

function scalarValue(value: unknown): Written['value'] {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
    return typeof value === 'bigint' ? Number(value) : null;
}

function keyName(key: unknown): string {
    return isScalar(key) ? (typeof key.value === 'string' ? key.value : (key.source ?? '')) : isAlias(key) ? `*${key.source}` : '';
}
