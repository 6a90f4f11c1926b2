import * as l10n from '@vscode/l10n';
import type { JsonSchema } from './schema';

/** The schema with what it says in the language of the server's other texts; the file itself, which the engine writes, is English. */
export function translated(schema: JsonSchema): JsonSchema {
    return translatedValue(schema) as JsonSchema;
}

function translatedValue(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(translatedValue);
    if (typeof value !== 'object' || value === null) return value;
    const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, translatedValue(inner)]));
    const { description, enumDescriptions } = value as JsonSchema;
    if (typeof description === 'string') Object.assign(copy, { description: l10n.t(description), 'x-says-default': /Default:|Absent:/.test(description) });
    if (enumDescriptions) copy.enumDescriptions = Object.fromEntries(Object.entries(enumDescriptions).map(([name, text]) => [name, l10n.t(text)]));
    return copy;
}
