import type { SortKey } from '../../protocol/panel';
import type { Measurement } from '../../protocol/generated/result';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { cellText, columnTitle, spokenValue, writtenHint } from './describe';
import { exactValue } from './exportTable';
import { commonStart, fallbackOf, isInUse, WRITTEN, type Model, type Row } from './model';
import { candidateKey } from './sort';

export interface TableCell {
    readonly text: string;
    /** The exact value, for other programs. */
    readonly exact?: string;
    readonly spoken?: string;
    readonly hint?: string;
    readonly marks?: string;
}

export interface TableColumn {
    readonly field: string;
    readonly title: string;
    readonly align: 'left' | 'right';
    readonly hint?: string;
    readonly sort?: SortKey;
    readonly candidate?: string;
    cell(row: Row, index: number): TableCell;
}

/** The table's columns: identity, what was done, asked and reached, so that this is in sight however many candidates follow, and each of them. */
export function tableColumns(model: Model, formats: Formats): readonly TableColumn[] {
    const common = commonStart(model.rows);
    const order = new Map(model.rows.map((row, index) => [row.name, index]));
    return [
        {
            field: 'order',
            title: '#',
            align: 'right',
            hint: t('Position in the model'),
            sort: 'order',
            cell: (row) => ({ text: formats.integer((order.get(row.name) ?? 0) + 1) }),
        },
        { field: 'name', title: t('Layer'), align: 'left', sort: 'name', cell: (row) => ({ text: row.name.slice(common(row)), spoken: row.name, hint: row.name }) },
        ...outcomeColumns(model, formats),
        ...model.columns.filter((column) => column !== WRITTEN).map((column) => measurementColumn(model, column, formats)),
        ...shapeColumn(model, formats),
    ];
}

function shapeColumn(model: Model, formats: Formats): TableColumn[] {
    if (!model.rows.some((row) => row.shape)) return [];
    const shape = (row: Row): string => (row.shape ? `${formats.integer(row.shape.outputs)} × ${formats.integer(row.shape.inputs)}` : '');
    return [{ field: 'shape', title: t('Shape'), align: 'right', hint: t('Outputs × inputs'), cell: (row) => ({ text: shape(row) }) }];
}

function measurementColumn(model: Model, column: string, formats: Formats): TableColumn {
    const index = model.columns.indexOf(column);
    return {
        field: column === WRITTEN ? 'achieved' : 'candidate',
        title: columnTitle(column),
        align: 'right',
        hint: column === WRITTEN ? writtenHint(model) : model.weightsOnly ? t('SQNR of the weights alone in dB; sort by {0}', column) : t('SQNR in dB; sort by {0}', column),
        sort: candidateKey(column),
        candidate: column,
        cell: (row) => measurementCell(row, column, row.cells[index] ?? null, isInUse(model, row, index), formats),
    };
}

function measurementCell(row: Row, column: string, value: Measurement | null, chosen: boolean, formats: Formats): TableCell {
    const fallback = fallbackOf(row, column, value);
    const use = !chosen ? null : row.applied === null ? t('asked for') : t('applied');
    const spoken = [spokenValue(value, formats), use, fallback === null ? null : `${t('fallback')}: ${fallback}`];
    return {
        text: cellText(value, formats, 2),
        exact: exactValue(value),
        spoken: spoken.filter((part) => part !== null).join(', '),
        hint: fallback ?? use ?? undefined,
        marks: `number ${chosen ? 'chosen' : ''} ${fallback === null ? '' : 'fallback'} ${value || column === WRITTEN ? '' : 'missing'}`,
    };
}

function outcomeColumns(model: Model, formats: Formats): TableColumn[] {
    const name = (label: string | null): string => label ?? t('kept');
    const known = model.rows.some((row) => row.asked !== null || row.applied !== null);
    const columns: TableColumn[] = known
        ? [
              {
                  field: 'applied',
                  title: t('Applied'),
                  align: 'left',
                  cell: (row) => ({
                      text: name(row.applied),
                      exact: row.applied ?? '',
                      hint: row.fallback ?? row.note ?? undefined,
                      marks: row.fallback === null ? '' : 'fallback',
                  }),
              },
          ]
        : [];
    // Where every layer got what was asked for, or nothing is applied yet, one column says both.
    const differs = model.rows.some((row) => row.asked !== row.applied);
    if (known && differs) columns.push({ field: 'asked', title: t('Asked'), align: 'left', cell: (row) => ({ text: name(row.asked), exact: row.asked ?? '' }) });
    if (model.columns.includes(WRITTEN)) columns.push(measurementColumn(model, WRITTEN, formats));
    if (model.rows.some((row) => row.bits !== null)) {
        columns.push({
            field: 'bits',
            title: t('Bits'),
            align: 'right',
            hint: t('Stored bits for each weight as written'),
            cell: (row) => ({ text: row.bits === null ? '' : formats.bits(row.bits), exact: row.bits === null ? '' : String(row.bits) }),
        });
    }
    return columns;
}
