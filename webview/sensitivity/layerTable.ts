import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { SensitivityState, SortKey } from '../../protocol/panel';
import type { Formats } from '../shared/format';
import { moveInGrid, type GridPosition } from '../shared/gridKeys';
import { t } from '../shared/strings';
import { events } from './events';
import { layerTableStyles } from './layerTable.styles';
import type { Model, Row } from './model';
import type { ColumnSummary } from './statistics';
import { summaryLines } from './summaryRows';
import { breakable } from './mapHead';
import { tableColumns, type TableColumn } from './tableColumns';

const ROW_HEIGHT = 22;
/** Above this many rows only those near the visible part exist. */
const VIRTUAL_FROM = 200;
/** Rows beyond the visible ones; few, because each costs a dozen cells at every step and new ones come within the same frame. */
const OVERSCAN = 4;

/** The map's twin: the same data as text, for reading, comparing and assistive technology. */
@customElement('quant-layer-table')
export class LayerTable extends LitElement {
    static override styles = layerTableStyles;

    @property({ attribute: false }) model!: Model;
    @property({ attribute: false }) rows: readonly Row[] = [];
    @property({ attribute: false }) summaries: readonly ColumnSummary[] = [];
    @property({ attribute: false }) formats!: Formats;
    @property({ attribute: false }) sort: SortKey = 'order';
    @property({ type: Boolean }) descending = false;
    @property({ attribute: false }) selection: SensitivityState['selection'] = null;

    /** The cell that Tab leads to; −1 is the header. */
    @state() private current: GridPosition = { row: 0, column: 0 };
    @state() private window = { first: 0, end: 40 };
    @query('.scroller') private scroller!: HTMLElement;
    @query('.above') private above!: HTMLElement;

    private columns: readonly TableColumn[] = [];
    private focusCurrent = false;
    private frame = 0;
    private readonly resized = new ResizeObserver(() => {
        this.moveWindow();
    });

    override firstUpdated(): void {
        this.resized.observe(this.scroller);
        this.moveWindow();
    }

    override disconnectedCallback(): void {
        super.disconnectedCallback();
        this.resized.disconnect();
        cancelAnimationFrame(this.frame);
    }

    protected override willUpdate(changed: PropertyValues): void {
        if (changed.has('model') || changed.has('formats')) this.columns = tableColumns(this.model, this.formats);
        const before = (changed.get('rows') as readonly Row[] | undefined)?.[this.current.row];
        if (before) this.current = { ...this.current, row: Math.max(0, this.rows.findIndex((each) => each.name === before.name)) };
        const lead = this.selection;
        if (lead && changed.has('selection')) {
            const row = this.rows.findIndex((each) => each.name === lead.layer);
            const column = this.columns.findIndex((each) => each.candidate === lead.candidate);
            if (row >= 0 && column >= 0) this.current = { row, column };
        }
        const last = { row: this.rows.length - 1, column: this.columns.length - 1 };
        const { row, column } = this.current;
        if (row > last.row || column > last.column) this.current = { row: Math.min(row, last.row), column: Math.min(column, last.column) };
    }

    protected override render(): TemplateResult {
        const { first, end } = this.range;
        return html`
            <div class="scroller" @scroll=${this.onScroll}>
                <div class="above"><slot name="above"></slot></div>
                <table
                    role="grid"
                    aria-label=${t('SQNR by layer and candidate')}
                    aria-rowcount=${this.rows.length + 1 + summaryLines(this.formats).length}
                    aria-colcount=${this.columns.length}
                    data-vscode-context='{"preventDefaultContextMenuItems":true,"webviewSection":"table"}'
                    @keydown=${this.onKey}
                    @click=${this.onClick}
                    @dblclick=${this.onDoubleClick}
                >
                    <thead>
                        <tr aria-rowindex="1">
                            ${this.columns.map((column, index) => this.renderTitle(column, index))}
                        </tr>
                    </thead>
                    <tbody>
                        ${this.renderSpace(first)}
                        ${this.rows.slice(first, end).map((row, index) => this.renderRow(row, first + index))}
                        ${this.renderSpace(this.rows.length - end)}
                    </tbody>
                    ${this.renderSummary()}
                </table>
            </div>
        `;
    }

    private get range(): { first: number; end: number } {
        if (this.rows.length <= VIRTUAL_FROM) return { first: 0, end: this.rows.length };
        return { first: Math.min(this.window.first, this.rows.length), end: Math.min(this.window.end, this.rows.length) };
    }

    /** Stands for rows that do not exist at the moment. */
    private renderSpace(rows: number): TemplateResult | typeof nothing {
        return rows > 0 ? html`<tr class="space" aria-hidden="true"><td colspan=${this.columns.length} data-rows=${rows}></td></tr>` : nothing;
    }

    private tabIndexOf(row: number, column: number): string {
        return row === this.current.row && column === this.current.column ? '0' : '-1';
    }

    private renderTitle(column: TableColumn, index: number): TemplateResult {
        const sorted = column.sort === this.sort;
        const direction = !sorted ? 'none' : this.descending ? 'descending' : 'ascending';
        const plain = sorted && column.sort === 'order' && !this.descending;
        return html`<th
            scope="col"
            class="${column.align} ${column.sort ? 'sortable' : ''}"
            aria-sort=${column.sort ? direction : nothing}
            aria-colindex=${index + 1}
            title=${column.hint ?? nothing}
            tabindex=${this.tabIndexOf(-1, index)}
            data-row="-1"
            data-column=${index}
        >
            <span class="text">${column.candidate === undefined ? column.title : breakable(column.title)}</span>${sorted && !plain ? html`<vscode-icon name=${this.descending ? 'arrow-down' : 'arrow-up'} size="12"></vscode-icon>` : nothing}
        </th>`;
    }

    private renderRow(row: Row, index: number): TemplateResult {
        const starts = this.sort === 'order' && index > 0 && this.rows[index - 1]?.block !== row.block;
        const selected = this.selection?.layer === row.name;
        return html`<tr class="${starts ? 'starts' : ''} ${selected ? 'selected' : ''}" aria-rowindex=${index + 2} data-layer=${row.name}>
            ${this.columns.map((column, at) => this.renderCell(row, index, column, at))}
        </tr>`;
    }

    private renderCell(row: Row, index: number, column: TableColumn, at: number): TemplateResult {
        const cell = column.cell(row, index);
        const isSelected = this.selection?.layer === row.name && this.selection.candidate === column.candidate;
        return html`<td
            class="${column.align} ${cell.marks ?? ''} ${isSelected ? 'active' : ''}"
            aria-colindex=${at + 1}
            aria-selected=${isSelected}
            aria-label=${cell.spoken ?? nothing}
            title=${cell.hint ?? nothing}
            tabindex=${this.tabIndexOf(index, at)}
            data-row=${index}
            data-column=${at}
            data-field=${column.field}
            data-layer=${row.name}
            data-candidate=${column.candidate ?? nothing}
            data-value=${cell.exact ?? nothing}
        >${cell.text}</td>`;
    }

    private renderSummary(): TemplateResult {
        return html`<tfoot>
            ${summaryLines(this.formats).map(
                (line, index) => html`<tr aria-rowindex=${this.rows.length + 2 + index}>
                    ${this.columns.map((column, at) => {
                        if (column.field === 'name') return html`<th scope="row" aria-colindex=${at + 1} title=${line.hint}>${line.label}</th>`;
                        const candidate = column.candidate;
                        const summary = candidate === undefined ? undefined : this.summaries[this.model.columns.indexOf(candidate)];
                        const text = summary && candidate !== undefined ? line.value(summary, candidate) : '';
                        return html`<td class=${column.align} aria-colindex=${at + 1}>${text}</td>`;
                    })}
                </tr>`,
            )}
        </tfoot>`;
    }

    protected override updated(changed: PropertyValues): void {
        // Not by a style attribute: the content policy blocks those.
        for (const cell of this.renderRoot.querySelectorAll<HTMLElement>('.space td')) {
            cell.style.height = `${String(Number(cell.dataset.rows) * ROW_HEIGHT)}px`;
        }
        if (this.focusCurrent) {
            this.focusCurrent = false;
            this.cellElement(this.current)?.focus({ preventScroll: true });
        }
        if (changed.has('selection')) this.reveal(this.current);
    }

    private cellElement({ row, column }: GridPosition): HTMLElement | null {
        return this.renderRoot.querySelector(`[data-row="${String(row)}"][data-column="${String(column)}"]`);
    }

    private readonly onScroll = (): void => {
        cancelAnimationFrame(this.frame);
        this.frame = requestAnimationFrame(() => {
            this.moveWindow();
        });
    };

    /** Moves in steps, so that most scroll events change nothing. */
    private moveWindow(): void {
        if (this.rows.length <= VIRTUAL_FROM) return;
        const first = Math.max(0, Math.floor((this.scroller.scrollTop - this.above.offsetHeight) / ROW_HEIGHT / OVERSCAN) * OVERSCAN - OVERSCAN);
        const end = first + Math.ceil(this.scroller.clientHeight / ROW_HEIGHT) + 3 * OVERSCAN;
        if (first !== this.window.first || end !== this.window.end) this.window = { first, end };
    }

    private positionOf(event: Event): GridPosition | null {
        const cell = event.composedPath().find((each): each is HTMLElement => each instanceof HTMLElement && each.dataset.column !== undefined);
        return cell ? { row: Number(cell.dataset.row), column: Number(cell.dataset.column) } : null;
    }

    private readonly onClick = (event: MouseEvent): void => {
        const at = this.positionOf(event);
        if (!at) return;
        this.moveTo(at);
        if (at.row < 0) this.sortBy(at.column);
    };

    private readonly onDoubleClick = (event: MouseEvent): void => {
        const row = this.rows[this.positionOf(event)?.row ?? -1];
        if (row) events.openLayer(this, row.name);
    };

    private readonly onKey = (event: KeyboardEvent): void => {
        if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            const row = this.rows[this.current.row];
            if (this.current.row < 0) this.sortBy(this.current.column);
            else if (row && event.key === 'Enter') events.openLayer(this, row.name);
        } else if (event.key === 'Escape') {
            if (this.selection) events.select(this, null);
        } else {
            const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_HEIGHT) - 2);
            const size = { rows: this.rows.length, columns: this.columns.length, page, firstRow: -1 as const };
            const to = moveInGrid(this.current, event.key, event.ctrlKey || event.metaKey, size);
            if (!to) return;
            event.preventDefault();
            this.moveTo(to);
        }
    };

    private moveTo(to: GridPosition): void {
        this.current = to;
        this.focusCurrent = true;
        const row = this.rows[to.row];
        const candidate = this.columns[to.column]?.candidate;
        this.reveal(to);
        if (row && candidate !== undefined) events.select(this, { layer: row.name, candidate });
    }

    /** Rows are of one height, so a row can be scrolled to before it exists. */
    private reveal({ row, column }: GridPosition): void {
        const { scroller } = this;
        const head = this.renderRoot.querySelector('thead')?.offsetHeight ?? 0;
        const foot = this.renderRoot.querySelector('tfoot')?.offsetHeight ?? 0;
        const top = this.above.offsetHeight + row * ROW_HEIGHT;
        if (row >= 0 && top < scroller.scrollTop) scroller.scrollTop = top;
        else if (top + ROW_HEIGHT + head + foot > scroller.scrollTop + scroller.clientHeight) {
            scroller.scrollTop = top + ROW_HEIGHT + head + foot - scroller.clientHeight;
        }
        this.moveWindow();
        const title = this.cellElement({ row: -1, column });
        const pinned = this.cellElement({ row: -1, column: 1 })?.getBoundingClientRect().right ?? 0;
        if (!title || column <= 1) return;
        const box = title.getBoundingClientRect();
        const own = scroller.getBoundingClientRect();
        if (box.left < pinned) scroller.scrollLeft -= pinned - box.left;
        else if (box.right > own.left + scroller.clientWidth) scroller.scrollLeft += box.right - own.left - scroller.clientWidth;
    }

    private sortBy(column: number): void {
        const key = this.columns[column]?.sort;
        if (key) events.sort(this, key);
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-layer-table': LayerTable;
    }
}
