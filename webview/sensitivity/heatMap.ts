import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { SensitivityState, SortKey } from '../../protocol/panel';
import type { Formats } from '../shared/format';
import { moveInGrid, type GridPosition } from '../shared/gridKeys';
import { t } from '../shared/strings';
import { cardPlace, hasRoomBeside, type CardRoom, type DetailCard } from './detailCard';
import './detailCard';
import { cellLabel, columnTitle, detailsOf, partsOf } from './describe';
import { events } from './events';
import { heatMapStyles } from './heatMap.styles';
import { mapHead } from './mapHead';
import { columnLeft, hit, layoutColumns, layoutRows, scrollFor, type Columns, type Rows } from './layout';
import { WRITTEN, type Model, type Row } from './model';
import { paintMap } from './paint';
import type { Palette } from './palette';
import type { Limits } from './scale';
import { candidateKey } from './sort';
import type { ColumnSummary } from './statistics';
import { mapLines, summaryRows } from './summaryRows';

/** Layers × candidates as colours and numbers on a canvas, with a grid beside it for keyboard and screen reader. */
@customElement('quant-heat-map')
export class HeatMap extends LitElement {
    static override styles = heatMapStyles;

    @property({ attribute: false }) model!: Model;
    @property({ attribute: false }) rows: readonly Row[] = [];
    @property({ attribute: false }) summaries: readonly ColumnSummary[] = [];
    /** By column. */
    @property({ attribute: false }) limits: readonly (Limits | null)[] = [];
    @property({ attribute: false }) palette!: Palette;
    @property({ attribute: false }) formats!: Formats;
    @property({ attribute: false }) sort: SortKey = 'order';
    @property({ type: Boolean }) descending = false;
    @property({ attribute: false }) selection: SensitivityState['selection'] = null;

    @state() private hovered: GridPosition | null = null;
    @state() private headerColumn: number | null = null;
    @state() private focused = false;
    /** Escape hides the card until the next movement. */
    @state() private cardDismissed = false;
    @state() private viewport = { width: 0, height: 0 };

    @query('.scroller') private scroller!: HTMLElement;
    @query('.above') private above!: HTMLElement;
    @query('.grid') private grid!: HTMLElement;
    @query('.stage') private stage!: HTMLElement;
    @query('.head') private head!: HTMLElement;
    @query('canvas') private canvas!: HTMLCanvasElement;
    @query('quant-detail-card') private card!: DetailCard | null;

    private columns: Columns = layoutColumns(0, false, 0, 0);
    private layout: Rows = layoutRows([], false);
    private frame = 0;
    /** Where the pointer was seen last, inside or outside: browsers tell of movements when only what lies below it has moved. */
    private pointer = { x: Number.NaN, y: Number.NaN };
    /** Whether the pointer has moved over the map since a key was pressed. */
    private isPointing = false;
    private readonly resized = new ResizeObserver(() => {
        this.viewport = { width: this.scroller.clientWidth, height: this.scroller.clientHeight };
    });

    override firstUpdated(): void {
        this.resized.observe(this.scroller);
        this.viewport = { width: this.scroller.clientWidth, height: this.scroller.clientHeight };
    }

    override disconnectedCallback(): void {
        super.disconnectedCallback();
        this.resized.disconnect();
        cancelAnimationFrame(this.frame);
    }

    /** Title and summary rows of the grid. */
    private get rowsAbove(): number {
        return 1 + mapLines(this.summaries, this.formats).length;
    }

    private get grouped(): boolean {
        return this.sort === 'order';
    }

    /** The selected cell as row and column of what is shown; null when the selection is not (or not any more) part of it. */
    private get selected(): GridPosition | null {
        if (!this.selection) return null;
        const { layer, candidate } = this.selection;
        const row = this.rows.findIndex((each) => each.name === layer);
        const column = this.model.columns.indexOf(candidate);
        return row < 0 || column < 0 ? null : { row, column };
    }

    protected override willUpdate(changed: PropertyValues): void {
        if (changed.has('rows') || changed.has('sort')) {
            this.layout = layoutRows(this.rows.map((row) => row.block), this.grouped);
            // A live run sends new rows all the time; the pointer still rests on the same layer.
            const before = changed.get('rows') as readonly Row[] | undefined;
            const at = this.hovered?.row ?? -1;
            if (before?.[at]?.name !== this.rows[at]?.name) this.hovered = null;
        }
        if (['rows', 'model', 'viewport', 'palette'].some((key) => changed.has(key))) {
            const apart = this.model.columns.at(-1) === WRITTEN;
            const labels = this.longestText(this.rows.map((row) => row.label));
            const notes = apart && this.needsMethods() ? this.longestText([t('Method'), ...this.rows.map((row) => row.applied ?? '')]) : 0;
            this.columns = layoutColumns(this.model.columns.length, apart, this.viewport.width, labels, notes);
            const parts = this.model.columns.flatMap((column) => partsOf(columnTitle(column)).flatMap((part) => part.split(' ')));
            this.toggleAttribute('upright', this.longestText(parts) + 8 > this.columns.cell);
            this.toggleAttribute('tight', this.columns.cell < 72);
        }
    }

    /** In a narrow panel cells need the room more than words that the marks of the cells in use say already. */
    private needsMethods(): boolean {
        return this.viewport.width >= 600 || this.rows.some(({ applied }) => applied !== null && !this.model.columns.includes(applied));
    }

    private longestText(texts: readonly string[]): number {
        const different = [...new Set(texts)];
        const pen = new OffscreenCanvas(1, 1).getContext('2d');
        if (pen) pen.font = this.palette.font;
        return different.reduce((most, text) => Math.max(most, pen ? pen.measureText(text).width : text.length * 7), 0);
    }

    protected override render(): TemplateResult {
        const position = this.headerColumn === null ? this.selected : { row: -1, column: this.headerColumn };
        const active = !position ? nothing : position.row < 0 ? `head-${String(position.column)}` : `cell-${String(position.column)}`;
        return html`
            <div class="scroller" @scroll=${this.onScroll}>
                <div class="above"><slot name="above"></slot></div>
                <div
                    class="grid"
                    role="grid"
                    tabindex="0"
                    aria-label=${t('Heat map of SQNR by layer and candidate')}
                    aria-rowcount=${this.rows.length + this.rowsAbove}
                    aria-colcount=${this.model.columns.length + 1}
                    aria-activedescendant=${active}
                    data-vscode-context='{"preventDefaultContextMenuItems":true,"webviewSection":"map"}'
                    @keydown=${this.onKey}
                    @focus=${this.onFocus}
                    @blur=${() => (this.focused = false)}
                >
                    <div class="head" role="row" aria-rowindex="1">
                        ${mapHead({
                            model: this.model,
                            summaries: this.summaries,
                            formats: this.formats,
                            sort: this.sort,
                            descending: this.descending,
                            current: this.hovered?.column ?? this.selected?.column ?? -1,
                            focused: this.focused ? this.headerColumn : null,
                            method: this.columns.note > 0,
                            sortBy: (key) => {
                                events.sort(this, key);
                            },
                        })}
                    </div>
                    ${summaryRows(this.model, this.summaries, this.formats)}
                    <div
                        class="stage"
                        role="presentation"
                        @pointermove=${this.onPointer}
                        @pointerleave=${this.onPointerLeave}
                        @click=${this.onClick}
                        @dblclick=${this.onDoubleClick}
                    >
                        <canvas aria-hidden="true"></canvas>
                    </div>
                    ${this.renderActiveRow()}
                </div>
            </div>
            ${this.renderCard()}
        `;
    }

    /** Assistive technology needs elements only for the row it stands on; the counts tell the rest. */
    private renderActiveRow(): TemplateResult | typeof nothing {
        const at = this.selected;
        const row = at && this.rows[at.row];
        if (!at || !row) return nothing;
        return html`<div class="spoken" role="row" aria-rowindex=${at.row + this.rowsAbove + 1}>
            <div role="rowheader" aria-colindex="1">${row.name}</div>
            ${row.cells.map(
                (_, column) => html`<div
                    id="cell-${column}"
                    role="gridcell"
                    aria-colindex=${column + 2}
                    aria-selected=${column === at.column}
                    aria-label=${cellLabel(this.model, row, column, this.formats)}
                ></div>`,
            )}
        </div>`;
    }

    private get carded(): GridPosition | null {
        if (this.cardDismissed) return null;
        return this.hovered ?? (this.focused && this.headerColumn === null ? this.selected : null);
    }

    private renderCard(): TemplateResult | typeof nothing {
        const at = this.carded;
        const row = at && this.rows[at.row];
        if (!at || !row) return nothing;
        return html`<quant-detail-card aria-hidden="true" ?compact=${!hasRoomBeside(this.cardRoom())} .details=${detailsOf(this.model, row, at.column, this.formats)}></quant-detail-card>`;
    }

    protected override updated(changed: PropertyValues): void {
        const { labels, cell, count, apart, note, width } = this.columns;
        const cells = apart > 0 ? `repeat(${String(count - 1)}, ${String(cell)}px) ${String(apart + cell)}px` : `repeat(${String(count)}, ${String(cell)}px)`;
        this.style.setProperty('--columns', `${String(labels)}px ${cells} ${note > 0 ? `${String(note)}px` : ''}`);
        this.style.setProperty('--labels', `${String(labels)}px`);
        this.style.setProperty('--gutter', `${String(this.columns.gutter)}px`);
        this.style.setProperty('--apart', `${String(apart)}px`);
        this.style.setProperty('--map-width', `${String(width)}px`);
        this.stage.style.height = `${String(this.layout.total + 8)}px`;
        const before = changed.get('viewport' as keyof this) as typeof this.viewport | undefined;
        if ((changed.has('selection') || before?.height === 0) && this.headerColumn === null) this.reveal();
        this.draw();
    }

    private readonly onScroll = (): void => {
        cancelAnimationFrame(this.frame);
        this.frame = requestAnimationFrame(() => {
            // While keys lead, what scrolls below a resting pointer is nothing that it points at.
            if (this.isPointing) this.hoverAt(this.pointer.x, this.pointer.y);
            this.draw();
        });
    };

    private draw(): void {
        const context = this.canvas.getContext('2d');
        const { width } = this.viewport;
        const height = Math.min(this.viewport.height - this.head.offsetHeight, this.layout.total + 8);
        if (!context || width <= 0 || height <= 0) return;
        this.canvas.style.top = `${String(this.head.offsetHeight)}px`;
        this.resizeCanvas(width, height);
        const ratio = window.devicePixelRatio;
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        paintMap(context, {
            model: this.model,
            rows: this.rows,
            columns: this.columns,
            layout: this.layout,
            grouped: this.grouped,
            limits: this.limits,
            palette: this.palette,
            formats: this.formats,
            offsetX: this.scroller.scrollLeft,
            offsetY: this.offsetY(),
            width,
            height,
            selected: this.selected,
            hovered: this.hovered,
            focused: this.focused && this.headerColumn === null,
        });
        // The card measures itself once its own text is in place.
        const { card } = this;
        void card?.updateComplete.then(() => {
            this.placeCard(card);
        });
    }

    private resizeCanvas(width: number, height: number): void {
        const ratio = window.devicePixelRatio;
        const pixels = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
        if (this.canvas.width === pixels.width && this.canvas.height === pixels.height) return;
        Object.assign(this.canvas, pixels);
        this.canvas.style.width = `${String(width)}px`;
        this.canvas.style.height = `${String(height)}px`;
    }

    /** How much of the map is scrolled away above the canvas, which sticks below the column titles. */
    private offsetY(): number {
        return this.canvas.getBoundingClientRect().top - this.stage.getBoundingClientRect().top;
    }

    private cardRoom(): CardRoom {
        const { clientWidth: width, clientHeight: height } = this.scroller;
        return { width, height, top: this.canvas.getBoundingClientRect().top - this.getBoundingClientRect().top, mapRight: this.columns.width - this.scroller.scrollLeft };
    }

    private placeCard(card: HTMLElement): void {
        const at = this.carded;
        if (!at) return;
        const room = this.cardRoom();
        const left = at.column < 0 ? this.columns.gutter : columnLeft(this.columns, at.column) - this.scroller.scrollLeft;
        const width = at.column < 0 ? this.columns.labels - this.columns.gutter : this.columns.cell;
        const top = room.top + (this.layout.tops[at.row] ?? 0) - this.offsetY();
        const anchor = { x: left, y: top, width, height: this.layout.height };
        Object.assign(card.style, { maxWidth: '', maxHeight: '' });
        const { maxWidth } = cardPlace({ width: card.offsetWidth, height: card.offsetHeight }, room, anchor);
        // Its height follows from the width that it is given.
        card.style.maxWidth = `${String(Math.round(maxWidth))}px`;
        const { x, y, maxHeight } = cardPlace({ width: card.offsetWidth, height: card.offsetHeight }, room, anchor);
        card.style.maxHeight = `${String(Math.round(maxHeight))}px`;
        card.style.transform = `translate(${String(Math.round(x))}px, ${String(Math.round(y))}px)`;
    }

    private readonly onPointer = (event: PointerEvent): void => {
        const { x, y } = this.pointer;
        this.pointer = { x: event.clientX, y: event.clientY };
        if (x === event.clientX && y === event.clientY) return;
        this.isPointing = true;
        this.hoverAt(event.clientX, event.clientY);
    };

    private readonly onPointerLeave = (): void => {
        this.isPointing = false;
        this.hovered = null;
    };

    private hoverAt(clientX: number, clientY: number): void {
        const at = this.cellAt(clientX, clientY);
        if (at?.row === this.hovered?.row && at?.column === this.hovered?.column) return;
        this.hovered = at;
        this.cardDismissed = false;
    }

    private cellAt(clientX: number, clientY: number): GridPosition | null {
        const stage = this.stage.getBoundingClientRect();
        const canvas = this.canvas.getBoundingClientRect();
        const x = clientX - canvas.left;
        // Labels stay put when the map scrolls sideways, cells do not.
        return hit(this.columns, this.layout, x < this.columns.labels ? x : x + this.scroller.scrollLeft, clientY - stage.top);
    }

    private readonly onClick = (event: MouseEvent): void => {
        const at = this.cellAt(event.clientX, event.clientY);
        if (at) this.select({ row: at.row, column: Math.max(0, at.column) });
    };

    private readonly onDoubleClick = (event: MouseEvent): void => {
        const at = this.cellAt(event.clientX, event.clientY);
        const row = at && this.rows[at.row];
        if (row) events.openLayer(this, row.name);
    };

    private readonly onFocus = (): void => {
        this.focused = true;
        // A click selects by itself; focus by keyboard needs a cell to stand on.
        if (!this.selected && this.headerColumn === null && this.grid.matches(':focus-visible')) this.select({ row: 0, column: 0 });
    };

    private readonly onKey = (event: KeyboardEvent): void => {
        const at = this.headerColumn === null ? (this.selected ?? null) : { row: -1, column: this.headerColumn };
        if (event.key === 'Escape') this.leave(event);
        else if (event.key === 'Enter' || event.key === ' ') this.activate(event, at);
        else {
            const size = { rows: this.rows.length, columns: this.model.columns.length, page: this.pageRows(), firstRow: -1 as const };
            const to = moveInGrid(at ?? { row: 0, column: 0 }, event.key, event.ctrlKey || event.metaKey, size);
            if (!to) return;
            event.preventDefault();
            this.isPointing = false;
            this.select(at ? to : { row: 0, column: 0 });
        }
    };

    private leave(event: KeyboardEvent): void {
        if (this.carded && !this.cardDismissed) this.cardDismissed = true;
        else if (this.selection || this.headerColumn !== null) {
            this.headerColumn = null;
            events.select(this, null);
        } else return;
        event.preventDefault();
    }

    private activate(event: KeyboardEvent, at: GridPosition | null): void {
        if (!at) return;
        event.preventDefault();
        const label = this.model.columns[at.column];
        if (at.row < 0 && label !== undefined) events.sort(this, candidateKey(label));
        const row = this.rows[at.row];
        if (row && event.key === 'Enter') events.openLayer(this, row.name);
    }

    private pageRows(): number {
        return Math.max(1, Math.floor(this.canvas.clientHeight / this.layout.height) - 1);
    }

    private select(to: GridPosition): void {
        this.cardDismissed = false;
        this.hovered = null;
        this.headerColumn = to.row < 0 ? to.column : null;
        const row = this.rows[to.row];
        const candidate = this.model.columns[to.column];
        if (row && candidate !== undefined) events.select(this, { layer: row.name, candidate });
    }

    /** Scrolls just enough for the selected cell to be seen whole. */
    private reveal(): void {
        const at = this.selected;
        if (!at || this.viewport.height === 0) return;
        const { scroller, viewport, layout, columns } = this;
        const head = this.head.offsetHeight;
        const stage = this.stage.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop;
        const top = stage + (layout.tops[at.row] ?? 0);
        // Row 0 brings the summary back into view with it.
        const start = at.row === 0 ? this.above.offsetHeight + head : top;
        scroller.scrollTop = scrollFor(scroller.scrollTop, start - 4, top + layout.height + 6, head, viewport.height);
        const left = columnLeft(columns, at.column);
        scroller.scrollLeft = scrollFor(scroller.scrollLeft, left, left + columns.cell + 4, columns.labels, viewport.width);
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-heat-map': HeatMap;
    }
}
