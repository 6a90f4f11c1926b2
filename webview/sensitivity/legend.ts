import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, queryAll } from 'lit/decorators.js';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { hatch, paintChosen, paintWarning } from './marks';
import type { Mark } from './marksOf';
import { events } from './events';
import type { Palette } from './palette';
import type { Limits } from './scale';

const SWATCH = { width: 24, height: 16 };
const BAR = { width: 132, height: 10 };

/** Colours with their numbers, the rule that set the limits, and the marks that occur. */
@customElement('quant-legend')
export class Legend extends LitElement {
    static override styles = css`
        :host {
            display: flex;
            flex-wrap: wrap;
            align-items: center;
            gap: 4px 16px;
            font-size: 11px;
            line-height: 16px;
            color: var(--vscode-descriptionForeground);
        }
        .scale,
        .mark {
            display: flex;
            align-items: center;
            gap: 4px 6px;
        }
        .scale {
            flex-wrap: wrap;
        }
        .mark canvas,
        .bar canvas {
            flex: none;
        }
        /* The colours stay between their two ends. */
        .bar {
            display: flex;
            align-items: center;
            gap: 6px;
        }
        .number {
            color: var(--vscode-foreground);
            font-variant-numeric: tabular-nums;
        }
        /* Its tooltip says it, too. */
        @media (max-width: 700px) {
            .rule {
                display: none;
            }
        }
        canvas {
            display: block;
        }
        button {
            font: inherit;
            padding: 0 7px;
            color: var(--vscode-foreground);
            background: transparent;
            border: 1px solid var(--vscode-contrastBorder, var(--vscode-input-border, var(--quant-line)));
            border-radius: 3px;
            cursor: pointer;
        }
        button:hover {
            background: var(--vscode-toolbar-hoverBackground);
        }
        button[aria-pressed='true'] {
            color: var(--vscode-inputOption-activeForeground, var(--vscode-foreground));
            background: var(--vscode-inputOption-activeBackground);
            border-color: var(--vscode-inputOption-activeBorder, transparent);
        }
        button:focus-visible {
            outline: 1px solid var(--vscode-focusBorder);
            outline-offset: 1px;
        }
    `;

    /** The common limits; of no use when each column has its own. */
    @property({ attribute: false }) limits: Limits | null = null;
    @property() scale: 'all' | 'column' = 'all';
    @property({ attribute: false }) palette!: Palette;
    @property({ attribute: false }) formats!: Formats;
    @property({ attribute: false }) marks: ReadonlySet<Mark> = new Set();

    @queryAll('canvas') private canvases!: NodeListOf<HTMLCanvasElement>;

    protected override render(): TemplateResult {
        return html`${this.renderScale()} ${marksInOrder.filter((mark) => this.marks.has(mark)).map((mark) => this.renderMark(mark))}`;
    }

    private renderScale(): TemplateResult | typeof nothing {
        if (!this.limits) return nothing;
        if (this.scale === 'column') return this.renderColumnScale();
        const { low, high, rule } = this.limits;
        const beyond = rule === 'percentiles';
        const hint =
            rule === 'percentiles'
                ? t('Colours run from the 2nd to the 98th percentile of all values; values beyond get the colour of the end')
                : t('Colours run from the smallest to the largest value');
        return html`<div class="scale" title=${hint}>
            <span class="bar">
                <span class="number">${beyond ? '≤ ' : ''}${this.formats.fixed(low, 1)}</span>
                <canvas data-mark="scale" aria-hidden="true"></canvas>
                <span class="number">${beyond ? '≥ ' : ''}${this.formats.fixed(high, 1)} dB</span>
            </span>
            <span class="rule">${rule === 'percentiles' ? t('2nd–98th percentile') : t('minimum–maximum')}</span>
            ${this.renderToggle()}
        </div>`;
    }

    private renderColumnScale(): TemplateResult {
        return html`<div class="scale" title=${t('Colours run from the worst to the best layer of each column and cannot be compared between columns')}>
            <span class="bar">
                <span class="number">${t('worst')}</span>
                <canvas data-mark="scale" aria-hidden="true"></canvas>
                <span class="number">${t('best of its column')}</span>
            </span>
            ${this.renderToggle()}
        </div>`;
    }

    private renderToggle(): TemplateResult {
        const own = this.scale === 'column';
        return html`<button
            type="button"
            aria-pressed=${own}
            title=${t('Colour each column by its own range, to tell the layers of one candidate apart')}
            @click=${() => {
                events.scale(this, own ? 'all' : 'column');
            }}
        >
            ${t('Per column')}
        </button>`;
    }

    private renderMark(mark: Mark): TemplateResult {
        return html`<div class="mark"><canvas data-mark=${mark} aria-hidden="true"></canvas><span>${nameOf(mark)}</span></div>`;
    }

    protected override updated(): void {
        for (const canvas of this.canvases) {
            const mark = canvas.dataset.mark;
            const { width, height } = mark === 'scale' ? BAR : SWATCH;
            const ratio = window.devicePixelRatio;
            canvas.width = Math.round(width * ratio);
            canvas.height = Math.round(height * ratio);
            canvas.style.width = `${String(width)}px`;
            canvas.style.height = `${String(height)}px`;
            const context = canvas.getContext('2d');
            if (!context) continue;
            context.scale(ratio, ratio);
            if (mark === 'scale') this.paintScale(context);
            else this.paintMark(context, mark as Mark);
        }
    }

    private paintScale(context: CanvasRenderingContext2D): void {
        const { samples, banded } = this.palette.ramp;
        if (banded) {
            this.paintBands(context, samples);
            return;
        }
        const gradient = context.createLinearGradient(0, 0, BAR.width, 0);
        samples.forEach((stop, index, all) => {
            gradient.addColorStop(index / (all.length - 1), stop);
        });
        context.fillStyle = gradient;
        context.beginPath();
        context.roundRect(0.5, 0.5, BAR.width - 1, BAR.height - 1, 2);
        context.fill();
        context.strokeStyle = this.palette.line;
        context.stroke();
    }

    /** Apart and outlined, as the cells are. */
    private paintBands(context: CanvasRenderingContext2D, colors: readonly string[]): void {
        const width = (BAR.width + 2) / colors.length;
        context.strokeStyle = this.palette.contrastBorder;
        colors.forEach((color, index) => {
            const left = Math.round(index * width);
            const right = Math.round((index + 1) * width) - 2;
            context.fillStyle = color;
            context.beginPath();
            context.rect(left + 0.5, 0.5, right - left - 1, BAR.height - 1);
            context.fill();
            context.stroke();
        });
    }

    private paintMark(context: CanvasRenderingContext2D, mark: Mark): void {
        const { foreground, muted, font } = this.palette;
        const { width, height } = SWATCH;
        if (mark === 'chosen') {
            paintChosen(context, [0, 0, width, height], foreground);
            return;
        }
        if (mark === 'fallback') {
            paintWarning(context, 7, height / 2, foreground);
            return;
        }
        context.beginPath();
        context.roundRect(0.5, 0.5, width - 1, height - 1, 2);
        context.strokeStyle = muted;
        if (mark !== 'infinite') context.setLineDash([2, 2]);
        if (mark === 'missing') {
            context.globalAlpha = 0.6;
            context.fillStyle = hatch(context, muted);
            context.fill();
            return;
        }
        context.stroke();
        context.font = font;
        context.textAlign = 'center';
        context.textBaseline = 'middle';
        context.fillStyle = foreground;
        context.fillText(mark === 'infinite' ? '∞' : '–', width / 2, height / 2 + 0.5);
    }
}

const marksInOrder: readonly Mark[] = ['chosen', 'fallback', 'infinite', 'zero-signal', 'missing'];

function nameOf(mark: Mark): string {
    switch (mark) {
        case 'chosen':
            return t('in use');
        case 'fallback':
            return t('fallback');
        case 'infinite':
            return t('no error');
        case 'zero-signal':
            return t('no signal');
        case 'missing':
            return t('not measured');
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-legend': Legend;
    }
}
