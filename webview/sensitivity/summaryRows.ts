import { html, type TemplateResult } from 'lit';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { WRITTEN, type Model } from './model';
import type { ColumnSummary } from './statistics';

interface SummaryLine {
    readonly field: 'bits' | 'minimum' | 'median' | 'mean' | 'chosen';
    readonly label: string;
    readonly hint: string;
    value(summary: ColumnSummary, column: string): string;
}

/** The lines above the map. Each says in its hint exactly what is computed. */
export function summaryLines(formats: Formats): readonly SummaryLine[] {
    const decibels = (value: number | null): string => (value === null ? '' : formats.fixed(value, 2));
    return [
        {
            field: 'bits',
            label: t('Bits per weight'),
            hint: t('Stored bits for each weight, scales and zero points included; average over the weights of all layers'),
            value: ({ bits }) => (bits === null ? '' : formats.bits(bits)),
        },
        {
            field: 'minimum',
            label: t('Minimum, dB'),
            hint: t('The worst layer'),
            value: ({ minimum }) => decibels(minimum),
        },
        {
            field: 'median',
            label: t('Median, dB'),
            hint: t('Half of the layers are better, half are worse'),
            value: ({ median }) => decibels(median),
        },
        {
            field: 'mean',
            label: t('Mean, dB'),
            hint: t('Arithmetic mean of the dB values, that is, the geometric mean of the ratios; layers without a finite value are left out'),
            value: ({ mean }) => decibels(mean),
        },
        {
            field: 'chosen',
            label: t('Layers in use'),
            hint: t('Number of layers that use this candidate'),
            value: ({ chosen }, column) => (column === WRITTEN ? '' : formats.integer(chosen)),
        },
    ];
}

/** The lines that stand above the map: bits are in the column titles, and uses appear once there are any. */
export function mapLines(summaries: readonly ColumnSummary[], formats: Formats): readonly SummaryLine[] {
    const used = summaries.some(({ chosen }) => chosen > 0);
    return summaryLines(formats).filter(({ field }) => field !== 'bits' && (field !== 'chosen' || used));
}

/** The summary as rows of the grid, in the same columns as the cells below. */
export function summaryRows(model: Model, summaries: readonly ColumnSummary[], formats: Formats): TemplateResult[] {
    return mapLines(summaries, formats).map(
        (line, index) => html`<div class="summary" role="row" aria-rowindex=${index + 2}>
            <div class="name" role="rowheader" aria-colindex="1" title=${line.hint}>${line.label}</div>
            ${model.columns.map((column, at) => {
                const summary = summaries[at];
                const classes = column === WRITTEN ? 'value apart' : 'value';
                return html`<div class=${classes} role="gridcell" aria-colindex=${at + 2}>${summary ? line.value(summary, column) : ''}</div>`;
            })}
        </div>`,
    );
}
