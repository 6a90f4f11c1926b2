/** Text from files and processes, made harmless inside Markdown, on one line. */
export function escapeMarkdown(text: string): string {
    return text.replace(/[\\`*_{}[\]()#+\-!|<>&~$]/g, '\\$&').replace(/\s+/g, ' ');
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

/** A size in decimal units with at most one decimal: `4.6 GB`. */
export function formatBytes(bytes: number): string {
    let value = bytes;
    let unit = 0;
    while (value >= 999.5 && unit < UNITS.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${value >= 99.5 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
