import { fallbackOf, WRITTEN, type Model } from './model';

export type Mark = 'chosen' | 'fallback' | 'infinite' | 'zero-signal' | 'missing';

/** The marks that occur, so that the legend explains these and no others. */
export function marksOf(model: Model): ReadonlySet<Mark> {
    const marks = new Set<Mark>();
    for (const row of model.rows) {
        if (row.chosen >= 0 || row.applied !== null) marks.add('chosen');
        row.cells.forEach((cell, index) => {
            const kept = model.columns[index] === WRITTEN && !model.live;
            if (!cell) {
                if (!kept) marks.add('missing');
            } else if (cell.state !== 'finite') marks.add(cell.state);
            if (fallbackOf(row, model.columns[index] ?? '', cell) !== null) marks.add('fallback');
        });
    }
    return marks;
}
