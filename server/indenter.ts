/** What begins at a column of a line. */
interface Mark {
    readonly type: string | null;
    readonly source: string;
    readonly column: number;
}

interface Level {
    readonly kind: 'key' | 'dash';
    /** Where it stands, and where it shall. */
    readonly column: number;
    readonly wanted: number;
}

const STEP = 2;
const OPENING = new Set(['flow-map-start', 'flow-seq-start']);
const CLOSING = new Set(['flow-map-end', 'flow-seq-end']);

/** Says of one line after the other how deep it shall stand: two columns for each level, lists two deeper than their key. */
export class Indenter {
    private levels: Level[] = [];
    /** Brackets that are open. */
    private open = 0;
    /** Columns by which the innermost entry moves. */
    shift = 0;

    /** @param next what the next line that says something begins with */
    line(marks: readonly Mark[], next: { readonly column: number; readonly type: string | null } | undefined): number | undefined {
        const first = marks[0]!;
        if (this.open > 0) return this.between(marks);
        if (first.type === 'comment') return this.comment(first.column, next);
        if (first.type === 'doc-start' || first.type === 'doc-end' || first.type === 'directive-line') {
            this.levels = [];
            return 0;
        }
        const wanted = this.entry(marks);
        this.count(marks);
        return wanted;
    }

    private between(marks: readonly Mark[]): number {
        const closers = marks.findIndex(({ type }) => !CLOSING.has(type ?? ''));
        const depth = this.open - (closers < 0 ? marks.length : closers);
        this.count(marks);
        return (this.levels.at(-1)?.wanted ?? 0) + STEP * Math.max(0, depth);
    }

    private count(marks: readonly Mark[]): void {
        for (const { type } of marks) {
            if (OPENING.has(type ?? '')) this.open++;
            else if (CLOSING.has(type ?? '')) this.open = Math.max(0, this.open - 1);
        }
    }

    /** A comment stands with what follows it, or with what it follows, as it did before. */
    private comment(column: number, next: { readonly column: number; readonly type: string | null } | undefined): number {
        const known: { readonly column: number; readonly wanted: number }[] = [...this.levels];
        if (next) known.push({ column: next.column, wanted: this.preview(next.column, next.type === 'seq-item-ind' ? 'dash' : 'key') });
        if (known.length === 0) return 0;
        const distance = (level: { readonly column: number }): number => Math.abs(level.column - column);
        return known.reduce((nearest, level) => (distance(level) <= distance(nearest) ? level : nearest)).wanted;
    }

    private preview(column: number, kind: Level['kind']): number {
        return this.placed(this.upTo(column, kind), column, kind).wanted;
    }

    private entry(marks: readonly Mark[]): number | undefined {
        const [first] = marks;
        const isEntry = first!.type === 'seq-item-ind' || marks.some(({ type }) => type === 'map-value-ind' || type === 'explicit-key-ind');
        if (!isEntry) {
            // A value on a line of its own.
            const wanted = this.levels.length === 0 ? 0 : this.levels.at(-1)!.wanted + STEP;
            this.shift = wanted - first!.column;
            return wanted;
        }
        let wanted: number | undefined;
        for (const [index, mark] of marks.entries()) {
            const kind = mark.type === 'seq-item-ind' ? 'dash' : 'key';
            if (kind === 'key' && !marks.slice(index).some(({ type }) => type === 'map-value-ind')) break;
            this.levels = this.upTo(mark.column, kind);
            const level = this.placed(this.levels, mark.column, kind);
            if (this.levels.at(-1) !== level) this.levels.push(level);
            wanted ??= level.wanted;
            this.shift = level.wanted - level.column;
            if (kind === 'key') break;
        }
        return wanted;
    }

    /** Without the levels that end before an entry there. */
    private upTo(column: number, kind: Level['kind']): Level[] {
        const ends = (level: Level): boolean => level.column > column || (level.column === column && level.kind === 'dash' && kind === 'key');
        const end = this.levels.findIndex(ends);
        return end < 0 ? [...this.levels] : this.levels.slice(0, end);
    }

    private placed(levels: readonly Level[], column: number, kind: Level['kind']): Level {
        const top = levels.at(-1);
        if (top?.column === column && top.kind === kind) return top;
        return { kind, column, wanted: top ? top.wanted + STEP : 0 };
    }
}
