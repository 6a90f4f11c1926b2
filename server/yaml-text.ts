/** Text that YAML reads as itself without quotes: what schemes, methods, patterns without wildcards and paths look like. */
const PLAIN = /^[A-Za-z_./~][\w./ ()+~-]*$/;
const RESERVED = /^(?:null|true|false|yes|no|on|off|~)$/i;

/** A value in YAML's flow style, on one line. */
export function flowText(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map(flowText).join(', ')}]`;
    if (typeof value === 'object' && value !== null) {
        const entries = Object.entries(value).map(([key, inner]) => `${key}: ${flowText(inner)}`);
        return entries.length > 0 ? `{ ${entries.join(', ')} }` : '{}';
    }
    if (typeof value !== 'string') return JSON.stringify(value);
    return PLAIN.test(value) && !value.endsWith(' ') && !RESERVED.test(value) ? value : JSON.stringify(value);
}
