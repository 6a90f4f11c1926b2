/** A name from a file, shown as code: nothing in it can become Markdown. */
export function code(text: string): string {
    const line = text.replace(/[`\s]+/g, ' ').trim();
    return `\`${line === '' ? ' ' : line}\``;
}
