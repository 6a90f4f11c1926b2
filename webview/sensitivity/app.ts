import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import {
    PANEL_PROTOCOL_VERSION,
    type HostMessage,
    type NewerRun,
    type PanelMessage,
    type SensitivityState,
    type SortKey,
} from '../../protocol/panel';
import { Announcer } from '../shared/announcer';
import { Formats } from '../shared/format';
import { setStrings, t } from '../shared/strings';
import { onThemeChange, prefersStillness, usesScreenReader } from '../shared/theme';
import { connect, loadId } from '../shared/vscodeApi';
import { appStyles } from './app.styles';
import { toCsv, toMarkdown } from './exportTable';
import './heatMap';
import './keyFigures';
import './layerTable';
import './legend';
import { isLow } from './lowPanel';
import { marksOf, type Mark } from './marksOf';
import { isRunning, modelOf, WRITTEN, type Model, type Row } from './model';
import './notice';
import { newerNotice, noticesOf } from './notices';
import { readPalette, type Palette } from './palette';
import './runHeader';
import { progressText, stateTitle } from './runState';
import { limitsByColumn, type Limits } from './scale';
import { nextSort, sortRows } from './sort';
import { summarize, weakest, type ColumnSummary, type Weakest } from './statistics';
import './viewToolbar';

type Snapshot = Extract<HostMessage, { type: 'snapshot' }>;
type Gone = Extract<HostMessage, { type: 'gone' }>;

const vscode = connect<PanelMessage, SensitivityState>();
/** How often the age of the last sign of life is looked at. */
const CLOCK_MS = 15_000;

/** The sensitivity panel: holds the last snapshot and the arrangement, and hands both down. */
@customElement('quant-sensitivity')
export class SensitivityPanel extends LitElement {
    static override styles = appStyles;

    @state() private snapshot: Snapshot | null = null;
    @state() private gone: Gone | null = null;
    @state() private newer: NewerRun | null = null;
    @state() private arrangement: SensitivityState = restore();
    @state() private palette: Palette = readPalette();
    @state() private now = Date.now();
    @state() private spoken = '';
    /** Too low for the data to scroll below what stands above it: then everything scrolls together, in the data's own scroller. */
    @state() private low = false;

    private formats = new Formats('en');
    private model: Model = { columns: [], rows: [], live: false, weightsOnly: false };
    private rows: readonly Row[] = [];
    private summaries: readonly ColumnSummary[] = [];
    private marks: ReadonlySet<Mark> = new Set();
    private weakest: Weakest | null = null;
    private limits: readonly (Limits | null)[] = [];
    private readonly announcer = new Announcer((text) => (this.spoken = text));
    private readonly undo: (() => void)[] = [];
    /** Of the panel itself, whose size is the page's: nothing that is shown in it changes that. */
    private readonly resized = new ResizeObserver(() => {
        this.low = isLow({ width: this.offsetWidth, height: this.offsetHeight }, this.low);
    });

    override connectedCallback(): void {
        super.connectedCallback();
        this.resized.observe(this);
        window.addEventListener('message', this.onMessage);
        const clock = setInterval(() => (this.now = Date.now()), CLOCK_MS);
        this.undo.push(
            () => {
                window.removeEventListener('message', this.onMessage);
            },
            () => {
                clearInterval(clock);
            },
            onThemeChange(() => (this.palette = readPalette())),
        );
        vscode.setState(this.arrangement);
        vscode.postMessage({ type: 'ready', version: PANEL_PROTOCOL_VERSION, load: loadId() });
    }

    override disconnectedCallback(): void {
        super.disconnectedCallback();
        for (const step of this.undo.splice(0)) step();
        this.resized.disconnect();
        this.announcer.dispose();
    }

    private readonly onMessage = (event: MessageEvent<HostMessage>): void => {
        const message = event.data;
        switch (message.type) {
            case 'snapshot':
                this.gone = null;
                this.snapshot = message;
                break;
            case 'newer':
                this.newer = message.newer;
                break;
            case 'gone':
                this.snapshot = null;
                this.gone = message;
                break;
            case 'copy-table':
                this.copy(message.format);
                break;
        }
    };

    protected override willUpdate(changed: PropertyValues): void {
        const fresh = changed.has('snapshot' as keyof this) && this.snapshot;
        if (fresh) this.takeOver(fresh);
        // Moving the selection changes the arrangement at every key: only what depends on the rest is computed anew.
        const { sort, descending, scale = 'all' } = this.arrangement;
        const before = changed.get('arrangement' as keyof this) as SensitivityState | undefined;
        if (fresh || (before && (before.sort !== sort || before.descending !== descending))) this.rows = sortRows(this.model, sort, descending);
        if (fresh || (before && (before.scale ?? 'all') !== scale)) this.limits = limitsByColumn(this.model, scale);
    }

    private takeOver(snapshot: Snapshot): void {
        setStrings(snapshot.strings);
        this.formats = new Formats(snapshot.locale);
        document.documentElement.lang = snapshot.locale;
        this.model = modelOf(snapshot);
        this.summaries = summarize(this.model);
        this.marks = marksOf(this.model);
        this.weakest = weakest(this.model, this.model.columns.indexOf(WRITTEN));
        this.now = Date.now();
        if (snapshot.runDirectory !== this.arrangement.runDirectory) {
            // Another run: how things are arranged stays, what was selected does not.
            this.arrange({ runDirectory: snapshot.runDirectory, selection: null });
        }
        this.announcer.say(isRunning(snapshot) ? progressText(snapshot.run, this.formats) : stateTitle(snapshot.run.state));
    }

    private arrange(change: Partial<SensitivityState>): void {
        this.arrangement = { ...this.arrangement, ...change };
        vscode.setState(this.arrangement);
    }

    protected override render(): TemplateResult {
        return html`
            <main
                class=${this.low ? 'low' : 'high'}
                @quant-select=${(event: CustomEvent<SensitivityState['selection']>) => {
                    this.arrange({ selection: event.detail });
                }}
                @quant-sort=${(event: CustomEvent<SortKey>) => {
                    const { key, descending } = nextSort(this.arrangement.sort, this.arrangement.descending, event.detail);
                    this.arrange({ sort: key, descending });
                }}
                @quant-scale=${(event: CustomEvent<'all' | 'column'>) => {
                    this.arrange({ scale: event.detail });
                }}
                @quant-view=${(event: CustomEvent<SensitivityState['view']>) => {
                    this.arrange({ view: event.detail });
                }}
                @quant-copy=${(event: CustomEvent<'csv' | 'markdown'>) => {
                    this.copy(event.detail);
                }}
                @quant-action=${(event: HTMLElementEventMap['quant-action']) => {
                    vscode.postMessage({ type: event.detail });
                }}
                @quant-open-layer=${(event: CustomEvent<string>) => {
                    vscode.postMessage({ type: 'open-layer', layer: event.detail });
                }}
            >
                ${this.snapshot ? this.renderRun(this.snapshot) : this.renderNothing()}
            </main>
            <div class="spoken" aria-live="polite" role="status">${this.spoken}</div>
        `;
    }

    private renderNothing(): TemplateResult {
        if (!this.gone) return this.renderMessage('loading', t('Loading the run…'), [], !prefersStillness());
        const { runDirectory, reason } = this.gone;
        return this.renderMessage('trash', t('This run is no longer there'), [reason, runDirectory], false);
    }

    private renderMessage(icon: string, title: string, lines: readonly string[], spin: boolean): TemplateResult {
        return html`<div class="message">
            <vscode-icon name=${icon} size="28" ?spin=${spin}></vscode-icon>
            <div class="message-title">${title}</div>
            ${lines.map((line) => html`<div class="message-line">${line}</div>`)}
        </div>`;
    }

    private renderRun(snapshot: Snapshot): TemplateResult {
        const filled = this.model.rows.length > 0 && this.model.columns.length > 0;
        const top = html`<div class="top" slot="above">${this.renderHeader(snapshot)}${filled ? this.renderToolbar() : nothing}</div>`;
        if (!filled) return html`${top} ${this.renderEmpty(snapshot)}`;
        return this.low ? this.renderData(top) : html`${top} ${this.renderData(nothing)}`;
    }

    private renderHeader(snapshot: Snapshot): TemplateResult {
        return html`
            <header>
                <quant-run-header .run=${snapshot.run} ?stoppable=${snapshot.stoppable} .result=${snapshot.result} .formats=${this.formats} ?still=${prefersStillness()}></quant-run-header>
                ${this.newer ? html`<quant-notice .text=${newerNotice(this.newer, this.formats)}></quant-notice>` : nothing}
                ${noticesOf(snapshot, this.formats, this.now).map((notice) => html`<quant-notice .text=${notice}></quant-notice>`)}
                <quant-key-figures
                    .result=${snapshot.result}
                    .model=${this.model}
                    .weakest=${this.weakest}
                    .formats=${this.formats}
                ></quant-key-figures>
            </header>
        `;
    }

    private renderToolbar(): TemplateResult {
        const { view, scale = 'all' } = this.arrangement;
        const legend = html`<quant-legend slot="legend"
            .limits=${this.limits[0] ?? null}
            .scale=${scale}
            .palette=${this.palette}
            .formats=${this.formats}
            .marks=${this.marks}
        ></quant-legend>`;
        return html`<quant-view-toolbar .view=${view}>${view === 'map' ? legend : nothing}</quant-view-toolbar>
            <p class="caption">${this.caption}</p>`;
    }

    private get caption(): string {
        if (this.model.weightsOnly) return t('SQNR of the weights alone: without calibration data nothing is known of what comes out of a layer.');
        const measured = t('SQNR is measured on the calibration text: methods that fit it look slightly better than elsewhere.');
        return this.model.columns.includes(WRITTEN) ? `${measured} ${t('As written: after quantizing the layers before, too.')}` : measured;
    }

    /** `above`: what scrolls together with the data. */
    private renderData(above: TemplateResult | typeof nothing): TemplateResult {
        const { view, sort, descending, selection } = this.arrangement;
        const { model, rows, summaries, formats, palette, limits } = this;
        return view === 'map'
            ? html`<quant-heat-map
                  class="data"
                  .model=${model}
                  .rows=${rows}
                  .summaries=${summaries}
                  .limits=${limits}
                  .palette=${palette}
                  .formats=${formats}
                  .sort=${sort}
                  .descending=${descending}
                  .selection=${selection}
              >${above}</quant-heat-map>`
            : html`<quant-layer-table
                  class="data"
                  .model=${model}
                  .rows=${rows}
                  .summaries=${summaries}
                  .formats=${formats}
                  .sort=${sort}
                  .descending=${descending}
                  .selection=${selection}
              >${above}</quant-layer-table>`;
    }

    private renderEmpty(snapshot: Snapshot): TemplateResult {
        if (isRunning(snapshot)) {
            return this.renderMessage('graph', t('Nothing measured yet'), [t('Layers appear here block by block as the run measures them.')], false);
        }
        if (snapshot.result && snapshot.result.layers.length > 0) {
            const line = t('Name candidates in the recipe to compare them on every layer.');
            return this.renderMessage('graph', t('This recipe compares no candidates'), [line], false);
        }
        return this.renderMessage('graph', t('This run measured no layer'), [t('It ended before the first layer was done.')], false);
    }

    private copy(format: 'csv' | 'markdown'): void {
        const text = format === 'csv' ? toCsv(this.model, this.rows) : toMarkdown(this.model, this.rows);
        vscode.postMessage({ type: 'copied', text, format });
    }
}

/** The persisted arrangement, or the one to begin with. */
function restore(): SensitivityState {
    const saved = vscode.getState();
    if (saved?.v === 1) return saved;
    return {
        v: 1,
        runDirectory: '',
        view: usesScreenReader() ? 'table' : 'map',
        sort: 'order',
        descending: false,
        selection: null,
    };
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-sensitivity': SensitivityPanel;
    }
}
