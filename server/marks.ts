import * as l10n from '@vscode/l10n';
import type { Fault } from './layout';
import { isDirective, tokenAt, type Line } from './lines';
import type { Span } from './recipe';

/** Lines in which what separates documents is blank, and what is wrong with that. */
export interface Unmarked {
    readonly lines: readonly Line[];
    readonly faults: readonly Fault[];
}

const MARK = /^(?:---|\.\.\.)(?=[ \t]|$)/;

/**
 * A recipe is one document. A mark in the middle of it costs its line, and what follows is read as if it were not there; where keys of the far left come
 * again behind it, another recipe begins, and all the rest is left out. A first `---` and a last `...` are right.
 *
 * @param root how deep the keys at the far left stand
 */
export function withoutMarks(lines: readonly Line[], root: number): Unmarked {
    const faults: Fault[] = [];
    const known = new Set<string>();
    let hasBegun = false;
    /** Marks that are right unless something follows. */
    let ends: Span[] = [];
    const found = parts(lines, root);
    // Directives stand before the first document.
    const first = found[0]!.hasContent || found[1]?.mark !== '---' ? 0 : found[1].index;
    const unmarked = lines.map((line, index) => (index < first || MARK.test(line.written) ? { ...line, written: '', indent: 0, isEmpty: true } : line));
    for (const { mark, line, index, keys, hasContent } of found) {
        if (mark === '...' && !hasContent) ends.push(line);
        else if (mark && (hasBegun || mark === '...')) {
            const isOther = keys.some((key) => known.has(key));
            const message = mark === '---' ? l10n.t('a recipe is one document; "---" begins another one') : l10n.t('a recipe is one document; "..." ends it here');
            const lost = [...ends, { start: line.start, end: isOther ? lines.at(-1)!.end : line.end }];
            faults.push({ span: { start: line.start, end: line.start + mark.length }, message, lost, isLegal: !hasBegun });
            if (isOther) return { lines: unmarked.slice(0, index), faults };
            ends = [];
        }
        hasBegun ||= hasContent || mark === '---';
        for (const key of keys) known.add(key);
    }
    return { lines: unmarked, faults };
}

/** A mark and what follows it, up to the next one. */
interface Part {
    /** '': the beginning of the text. */
    readonly mark: string;
    /** The mark's, and its index. */
    readonly line: Span;
    readonly index: number;
    readonly keys: string[];
    hasContent: boolean;
}

function parts(lines: readonly Line[], root: number): readonly Part[] {
    let part: Part = { mark: '', line: { start: 0, end: 0 }, index: 0, keys: [], hasContent: false };
    const found = [part];
    for (const [index, line] of lines.entries()) {
        const [mark] = MARK.exec(line.written) ?? [];
        if (mark !== undefined) found.push((part = { mark, line, index, keys: [], hasContent: false }));
        else if (!line.isEmpty && !isDirective(line)) {
            part.hasContent = true;
            const { kind, name } = tokenAt(line, line.indent);
            if (kind === 'key' && line.indent === root) part.keys.push(name);
        }
    }
    return found;
}
