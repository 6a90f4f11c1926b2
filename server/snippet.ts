import type { Recipe } from './recipe';
import type { JsonSchema, Slot } from './schema';

/** Writes the value of a new key: a section with its required keys, an opened list, a default to accept or overwrite. */
export class Snippet {
    private stop = 0;

    constructor(
        private readonly recipe: Recipe,
        private readonly flow: boolean,
    ) {}

    /** With what separates it from the colon. */
    value(slot: Slot, depth: number): string {
        const scalar = slot.alternatives.find(({ kind }) => kind !== 'mapping' && kind !== 'list' && kind !== 'nothing');
        const nested = slot.alternatives.find(({ kind }) => kind === 'mapping' || kind === 'list');
        if (scalar || !nested || depth > 3) return ` ${this.placeholder(slot)}`;
        const items = nested.schema.items;
        const itemSlot = items && this.recipe.schema.slot(items);
        if (itemSlot) return this.list(itemSlot, depth);
        return this.mapping(nested.schema, depth);
    }

    private list(slot: Slot, depth: number): string {
        const item = slot.alternatives.find(({ kind }) => kind === 'mapping');
        const isMapping = item !== undefined && slot.alternatives.length === 1;
        if (this.flow) return isMapping ? ` [{ ${this.keys(item.schema, depth + 1).join(', ')} }]` : ` [${this.next()}]`;
        if (!isMapping) return `\n${indent(depth)}- ${this.next()}`;
        return `\n${indent(depth)}- ${this.keys(item.schema, depth + 2).join(`\n${indent(depth + 1)}`)}`;
    }

    private mapping(schema: JsonSchema, depth: number): string {
        const keys = this.keys(schema, depth + 1);
        if (this.flow) return ` { ${keys.length > 0 ? keys.join(', ') : this.next()} }`;
        return `\n${indent(depth)}${keys.length > 0 ? keys.join(`\n${indent(depth)}`) : this.next()}`;
    }

    keys(schema: JsonSchema, depth: number): string[] {
        const required = schema.required?.length ? schema.required : Object.keys(schema.properties ?? {}).slice(0, 1);
        return required.flatMap((name) => {
            const property = schema.properties?.[name];
            return property ? [`${name}:${this.value(this.recipe.schema.slot(property), depth)}`] : [];
        });
    }

    private placeholder(slot: Slot): string {
        if (slot.format === 'layer-pattern') return `"${this.next()}"`;
        const written = plainDefault(slot.default);
        return written ? `\${${++this.stop}:${written}}` : this.next();
    }

    private next(): string {
        return `$${++this.stop}`;
    }
}

/** A default as one would write it: a word without quotes. '': there is none, or an empty list. */
export function plainDefault(value: unknown): string {
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return '';
    return typeof value === 'string' && /^[A-Za-z][\w.-]*$/.test(value) ? value : JSON.stringify(value);
}

function indent(depth: number): string {
    return '  '.repeat(depth);
}
