import type { Family } from '../protocol/checkpoint';
import type { SchemeFormat } from '../protocol/formats';
import { finiteLanguage } from './finite-language';

/** The JSON Schema keywords that the engine's models produce, and the few of our own that mark what a value is. */
export interface JsonSchema {
    readonly $ref?: string;
    readonly $defs?: Readonly<Record<string, JsonSchema>>;
    readonly title?: string;
    readonly description?: string;
    readonly type?: string | readonly string[];
    readonly default?: unknown;
    readonly const?: unknown;
    readonly enum?: readonly unknown[];
    readonly enumDescriptions?: Readonly<Record<string, string>>;
    readonly pattern?: string;
    readonly format?: string;
    readonly minimum?: number;
    readonly maximum?: number;
    readonly exclusiveMinimum?: number;
    readonly exclusiveMaximum?: number;
    readonly minLength?: number;
    readonly minItems?: number;
    readonly anyOf?: readonly JsonSchema[];
    readonly oneOf?: readonly JsonSchema[];
    readonly items?: JsonSchema;
    readonly properties?: Readonly<Record<string, JsonSchema>>;
    readonly required?: readonly string[];
    readonly examples?: readonly unknown[];
    /** Whether the description, in English at least, names the default, or says what holds when nothing is written. */
    readonly 'x-says-default'?: boolean;
    /** Of a key that still works and will not for ever. */
    readonly deprecated?: boolean;
    /** Of such a key: the one to write in its place, with the same value. */
    readonly 'x-replaced-by'?: string;
    /** Keys of which exactly one has to be written. */
    readonly 'x-exactly-one'?: readonly string[];
    /** Sets of keys of which at most one may be written. */
    readonly 'x-at-most-one'?: readonly (readonly string[])[];
    /** Of an argument: value → the output formats of which it takes one. */
    readonly 'x-needs-output'?: Readonly<Record<string, readonly string[]>>;
    /** Of an argument: value → the schemes of which it takes one. */
    readonly 'x-needs-scheme'?: Readonly<Record<string, readonly string[]>>;
    /** Architectures that the engine can walk. */
    readonly 'x-architectures'?: Readonly<Record<string, Family>>;
    readonly 'x-group-sizes'?: readonly number[];
    readonly 'x-methods'?: Readonly<Record<string, MethodFacts>>;
    /** Weight format of each scheme, as compressed-tensors' quantization arguments. */
    readonly 'x-schemes'?: Readonly<Record<string, SchemeFormat>>;
    readonly 'x-short-forms'?: Readonly<Record<string, ShortForm>>;
}

/** What a method needs; `x-methods` of the recipe's schema. */
export interface MethodFacts {
    /** As people call it: `Round to nearest`. */
    readonly title?: string;
    readonly needs_calibration: boolean;
    readonly paper?: { readonly title: string; readonly url: string } | null;
}

/** A short form without a group size; `x-short-forms` of the recipe's schema. */
export interface ShortForm {
    readonly method: string;
    readonly scheme: string;
}

export type Kind = 'mapping' | 'list' | 'text' | 'integer' | 'number' | 'boolean' | 'nothing';

/** One way to write a value; its schema has no `$ref` and no `anyOf` left. */
export interface Alternative {
    readonly kind: Kind;
    readonly schema: JsonSchema;
}

/** What may stand at one place of a recipe. */
export interface Slot {
    readonly description: string;
    /** Whether it says what the default is, or what holds without a value. */
    readonly saysDefault: boolean;
    readonly default: unknown;
    /** `checkpoint`, `path`, `output`, `layer-pattern`: what a text means. */
    readonly format: string | undefined;
    readonly deprecated?: boolean;
    readonly alternatives: readonly Alternative[];
}

const KINDS: Readonly<Record<string, Kind>> = {
    object: 'mapping', array: 'list', string: 'text', integer: 'integer', number: 'number', boolean: 'boolean', null: 'nothing',
};
const MAX_DEPTH = 16;
const MAX_SPELLINGS = 20_000;

export class RecipeSchema {
    readonly root: Slot;
    readonly architectures: Readonly<Record<string, Family>>;
    readonly schemes: Readonly<Record<string, SchemeFormat>>;
    readonly methods: Readonly<Record<string, MethodFacts>>;
    /** Group sizes that a short form can name, ascending. */
    readonly groupSizes: readonly number[];
    readonly shortForms: Readonly<Record<string, ShortForm>>;
    private readonly definitions: Readonly<Record<string, JsonSchema>>;
    private readonly slots = new Map<JsonSchema, Slot>();
    private readonly items = new WeakMap<Slot, Slot>();
    private readonly spellings = new Map<string, readonly string[]>();
    private readonly patterns = new Map<string, RegExp>();

    constructor(document: JsonSchema) {
        this.definitions = document.$defs ?? {};
        this.architectures = document['x-architectures'] ?? {};
        this.schemes = document['x-schemes'] ?? {};
        this.methods = document['x-methods'] ?? {};
        this.groupSizes = document['x-group-sizes'] ?? [];
        this.shortForms = document['x-short-forms'] ?? {};
        this.root = this.slot(document);
    }

    slot(schema: JsonSchema): Slot {
        const known = this.slots.get(schema);
        if (known) return known;
        const resolved = this.resolve(schema);
        const slot: Slot = {
            description: resolved.description ?? '',
            saysDefault: resolved['x-says-default'] ?? false,
            default: resolved.default,
            format: resolved.format,
            deprecated: resolved.deprecated ?? false,
            alternatives: this.expand(schema, 0),
        };
        this.slots.set(schema, slot);
        return slot;
    }

    /** What may stand at a place while it is open which of several mappings is meant. */
    joinedSlot(schemas: readonly JsonSchema[]): Slot | undefined {
        const [first, ...rest] = schemas.map((schema) => this.slot(schema));
        if (first && rest.length === 0) return first;
        return first && { ...first, alternatives: [...first.alternatives, ...rest.flatMap(({ alternatives }) => alternatives)] };
    }

    /** What may stand in a list at a place: what a text means is said of the whole key, be it one text or a list of them. */
    itemSlot(list: Slot): Slot | undefined {
        const known = this.items.get(list);
        if (known) return known;
        const schema = list.alternatives.find(({ kind }) => kind === 'list')?.schema.items;
        const own = schema && this.slot(schema);
        const slot = own && { ...own, format: own.format ?? list.format };
        if (slot) this.items.set(list, slot);
        return slot;
    }

    matches(pattern: string, text: string): boolean {
        let compiled = this.patterns.get(pattern);
        if (!compiled) this.patterns.set(pattern, (compiled = new RegExp(pattern, 'u')));
        return compiled.test(text);
    }

    /** Every text that `pattern` accepts, when they are few enough to list; else none. */
    spelled(pattern: string): readonly string[] {
        let known = this.spellings.get(pattern);
        if (known === undefined) {
            known = finiteLanguage(pattern, MAX_SPELLINGS) ?? [];
            this.spellings.set(pattern, known);
        }
        return known;
    }

    private resolve(schema: JsonSchema): JsonSchema {
        let current = schema;
        for (let depth = 0; current.$ref !== undefined && depth < MAX_DEPTH; depth++) {
            const { $ref, ...siblings } = current;
            const target = this.definitions[$ref.replace(/^#\/\$defs\//, '')];
            if (!target) return siblings;
            current = { ...target, ...siblings };
        }
        return current;
    }

    private expand(schema: JsonSchema, depth: number): Alternative[] {
        const { anyOf, oneOf, ...own } = this.resolve(schema);
        const choices = anyOf ?? oneOf;
        if (choices === undefined || depth > MAX_DEPTH) return kindsOf(own).map((kind) => ({ kind, schema: own }));
        return choices.flatMap((choice) => this.expand({ ...own, ...this.resolve(choice) }, depth + 1));
    }
}

function kindsOf(schema: JsonSchema): Kind[] {
    const types = schema.type ?? (schema.properties ? 'object' : typeof (schema.const ?? schema.enum?.[0]));
    return (typeof types === 'string' ? [types] : types).flatMap((type) => (KINDS[type] ? [KINDS[type]] : []));
}

/** Values that a scalar alternative lists, with their explanations. */
export function listedValues(alternative: Alternative): { readonly value: unknown; readonly description: string }[] {
    const { schema } = alternative;
    const values = schema.const !== undefined ? [schema.const] : (schema.enum ?? []);
    return values.map((value) => ({ value, description: schema.enumDescriptions?.[String(value)] ?? schema.description ?? '' }));
}

/** The property that tells mappings apart, when all of them fix it to a constant. */
export function discriminator(alternatives: readonly Alternative[]): string | undefined {
    if (!discriminators.has(alternatives)) discriminators.set(alternatives, findDiscriminator(alternatives));
    return discriminators.get(alternatives);
}

const discriminators = new WeakMap<readonly Alternative[], string | undefined>();

function findDiscriminator(alternatives: readonly Alternative[]): string | undefined {
    const [first, ...rest] = alternatives.filter(({ kind }) => kind === 'mapping');
    if (!first) return undefined;
    return Object.keys(first.schema.properties ?? {}).find((name) =>
        [first, ...rest].every(({ schema }) => schema.properties?.[name]?.const !== undefined),
    );
}
