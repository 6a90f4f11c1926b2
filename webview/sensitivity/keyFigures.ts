import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { comparableDecimals, significantDecimals } from '../../protocol/decimals';
import type { Result, Score } from '../../protocol/generated/result';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { events } from './events';
import type { Model } from './model';
import type { Weakest } from './statistics';

interface Figure {
    readonly label: string;
    readonly hint: string;
    readonly value: TemplateResult | string;
    /** Belongs to the figure. */
    readonly note?: TemplateResult | string;
    /** Explains it: in the tooltip, and beside it in a wide panel. */
    readonly more?: string;
    readonly name: string;
}

/** The model as a whole: what it cost and what it saved. */
@customElement('quant-key-figures')
export class KeyFigures extends LitElement {
    static override styles = css`
        :host {
            display: flex;
            flex-wrap: wrap;
            gap: 1px 12px;
        }
        [data-figure] {
            display: flex;
            flex-wrap: wrap;
            align-items: baseline;
            gap: 0 5px;
            line-height: 19px;
            font-variant-numeric: tabular-nums;
            overflow-wrap: anywhere;
        }
        .label,
        .note {
            font-size: 11px;
            color: var(--vscode-descriptionForeground);
        }
        .value {
            font-size: 12px;
        }
        /* What explains a figure rather than being one stands in its tooltip, too, where the room is dear. */
        @media (max-width: 1500px) {
            .note.more {
                display: none;
            }
        }
        .value b {
            font-weight: 600;
        }
        .from,
        .unit {
            color: var(--vscode-descriptionForeground);
        }
        .unit,
        .error {
            font-size: 11px;
        }
        .error {
            color: var(--vscode-descriptionForeground);
        }
        button {
            font: inherit;
            color: var(--vscode-textLink-foreground);
            background: none;
            border: none;
            padding: 0;
            cursor: pointer;
            max-width: 100%;
            text-align: start;
        }
        button:hover {
            text-decoration: underline;
            color: var(--vscode-textLink-activeForeground);
        }
        button:focus-visible {
            outline: 1px solid var(--vscode-focusBorder);
            outline-offset: 1px;
        }
    `;

    @property({ attribute: false }) result: Result | null = null;
    @property({ attribute: false }) model!: Model;
    @property({ attribute: false }) weakest: Weakest | null = null;
    @property({ attribute: false }) formats!: Formats;

    protected override render(): TemplateResult[] {
        return this.figures().map(
            ({ label, hint, value, note, more, name }) => html`<div data-figure=${name} title=${[hint, more].filter(Boolean).join('\n')}>
                <span class="label">${label}</span>
                <span class="value">${value}</span>
                ${note === undefined ? nothing : html`<span class="note">${note}</span>`}
                ${more === undefined ? nothing : html`<span class="note more">${more}</span>`}
            </div>`,
        );
    }

    private figures(): Figure[] {
        const figures = this.result ? [this.size(this.result), this.bits(this.result), ...this.scores(this.result)] : [];
        const weak = this.weakestFigure();
        return weak ? [...figures, weak] : figures;
    }

    private size({ sizes }: Result): Figure {
        const { formats } = this;
        const before = formats.bytes(sizes.original_bytes);
        const after = sizes.quantized_bytes;
        return {
            name: 'size',
            label: t('Size'),
            hint: t('Bytes of all tensors, in the original checkpoint and in the written one'),
            value: after === null ? before : html`<span class="from">${withoutUnit(before, formats.bytes(after))} →</span> <b>${formats.bytes(after)}</b>`,
            more: after === null ? t('nothing written') : t('{0} of the original', formats.percent(after / sizes.original_bytes, 0)),
        };
    }

    private bits({ sizes }: Result): Figure {
        const { formats } = this;
        return {
            name: 'bits',
            label: t('Bits'),
            hint: t('Stored bits for each weight of the target layers, scales and zero points included'),
            value: html`<b>${formats.bits(sizes.bits_per_weight)}</b>`,
            more: t('{0} over all parameters of the model', formats.bits(sizes.model_bits_per_weight)),
        };
    }

    private scores({ scores }: Result): Figure[] {
        const { formats } = this;
        const { perplexity, baseline_perplexity: baseline, perplexity_ratio: ratio, kl, same_top: same } = scores;
        const figures: Figure[] = [];
        if (perplexity) {
            const digits = comparableDecimals([perplexity, ...(baseline ? [baseline] : [])].map(({ value }) => value));
            const against = baseline && t('{0} → {1}', this.written(baseline, digits), this.written(perplexity, digits));
            figures.push({
                name: 'perplexity',
                label: t('Perplexity'),
                hint: [against, scoreHint(perplexity, formats)].filter(Boolean).join('\n'),
                // The error of the ratio says how certain the change is; the errors of the two are mostly the text's.
                value: baseline
                    ? html`<span class="from">${formats.fixed(baseline.value, digits)} →</span> <b>${formats.fixed(perplexity.value, digits)}</b>`
                    : this.score(perplexity),
                note: baseline ? change(formats, perplexity.value / baseline.value - 1, ratio?.standard_error) : undefined,
            });
        } else if (baseline) {
            figures.push({ name: 'perplexity', label: t('Perplexity of the original'), hint: scoreHint(baseline, formats), value: this.score(baseline) });
        }
        if (kl) {
            figures.push({
                name: 'kl',
                label: t('KL'),
                hint: t('Mean Kullback–Leibler divergence of the next-token distributions, original to quantized, in nats. {0}', scoreHint(kl, formats)),
                value: this.score(kl),
                more: t('0 for the original itself'),
            });
        }
        if (same) {
            figures.push({
                name: 'same-top',
                label: t('Same top'),
                hint: t('Share of positions whose most likely token is unchanged. {0}', scoreHint(same, formats)),
                value: html`<b>${formats.percent(same.value, 1)}</b> <span class="error">± ${formats.fixed(same.standard_error * 100, 1)}</span>`,
                more: t('of {0} positions', formats.integer(same.tokens)),
            });
        }
        return figures;
    }

    private score({ value, standard_error: error }: Score): TemplateResult {
        const digits = significantDecimals(value);
        return html`<b>${this.formats.fixed(value, digits)}</b> <span class="error">± ${this.formats.fixed(error, digits)}</span>`;
    }

    private written({ value, standard_error: error }: Score, digits: number): string {
        return `${this.formats.fixed(value, digits)} ± ${this.formats.fixed(error, digits)}`;
    }

    private weakestFigure(): Figure | null {
        const { weakest, formats, model } = this;
        if (!weakest) return null;
        const candidate = model.columns[weakest.column] ?? '';
        const { name, label, block } = weakest.row;
        // What a block's parts are called is dispensable: the tooltip has the whole name.
        const place = block === null ? label : `${String(block)}.${label.slice(label.indexOf('.') + 1)}`;
        return {
            name: 'weakest',
            label: t('Weakest'),
            hint: t('{0}: lowest SQNR among the methods in use; a click selects it', name),
            value: html`<b>${formats.fixed(weakest.value, 2)}</b> <span class="unit">dB</span>`,
            note: html`<button @click=${() => {
                events.select(this, { layer: name, candidate });
            }}>${place}</button>`,
        };
    }
}

/** `8.98` before `3.45 MB`, but `1.2 GB` before `420 MB`. */
function withoutUnit(size: string, other: string): string {
    const [number, unit] = size.split(' ');
    return number !== undefined && unit === other.split(' ')[1] ? number : size;
}

/** `+2.80% ± 0.17%`. The error is that of the ratio, sequence by sequence: much smaller than the two perplexities' own. Older results have none. */
function change(formats: Formats, share: number, error: number | undefined): string {
    const digits = Math.abs(share) < 0.1 ? 2 : 1;
    return `${share > 0 ? '+' : ''}${formats.percent(share, digits)}${error === undefined ? '' : ` ± ${formats.percent(error, digits)}`}`;
}

function scoreHint({ samples, tokens }: Score, formats: Formats): string {
    return t('± is the standard error over {0} held-out sequences ({1} tokens)', formats.integer(samples), formats.integer(tokens));
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-key-figures': KeyFigures;
    }
}
