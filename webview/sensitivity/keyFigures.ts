import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
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
    readonly note: TemplateResult | string;
    readonly name: string;
}

/** The model as a whole: what it cost and what it saved. */
@customElement('quant-key-figures')
export class KeyFigures extends LitElement {
    static override styles = css`
        :host {
            display: grid;
            grid-auto-flow: column;
            grid-auto-columns: auto;
            gap: 8px 26px;
        }
        /* Too narrow for one row: two rows of the same length, so that no figure stands alone. */
        @media (max-width: 1080px) {
            :host {
                grid-auto-flow: row;
                grid-template-columns: repeat(var(--half, 3), minmax(0, 1fr));
            }
        }
        @media (max-width: 700px) {
            :host {
                grid-template-columns: repeat(auto-fit, minmax(min(195px, 100%), 1fr));
            }
        }
        .label {
            font-size: 11px;
            line-height: 15px;
            color: var(--vscode-descriptionForeground);
        }
        .value {
            font-size: 14px;
            line-height: 20px;
            font-variant-numeric: tabular-nums;
            overflow-wrap: anywhere;
        }
        .note {
            font-size: 11px;
            line-height: 15px;
            color: var(--vscode-descriptionForeground);
            font-variant-numeric: tabular-nums;
            overflow-wrap: anywhere;
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
            font-size: 12px;
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
        const figures = this.figures();
        this.style.setProperty('--half', String(figures.length > 3 ? Math.ceil(figures.length / 2) : Math.max(figures.length, 1)));
        return figures.map(
            ({ label, hint, value, note, name }) => html`<div data-figure=${name} title=${hint}>
                <div class="label">${label}</div>
                <div class="value">${value}</div>
                <div class="note">${note}</div>
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
            value: after === null ? before : html`<span class="from">${before} →</span> <b>${formats.bytes(after)}</b>`,
            note: after === null ? t('nothing written') : t('{0} of the original', formats.percent(after / sizes.original_bytes, 0)),
        };
    }

    private bits({ sizes }: Result): Figure {
        const { formats } = this;
        return {
            name: 'bits',
            label: t('Bits per weight'),
            hint: t('Stored bits for each weight of the target layers, scales and zero points included; below: over all parameters of the model'),
            value: html`<b>${formats.fixed(sizes.bits_per_weight, 2)}</b>`,
            note: t('{0} whole model', formats.fixed(sizes.model_bits_per_weight, 2)),
        };
    }

    private scores({ scores }: Result): Figure[] {
        const { formats } = this;
        const { perplexity, baseline_perplexity: baseline, perplexity_ratio: ratio, kl, same_top: same } = scores;
        const figures: Figure[] = [];
        if (perplexity) {
            const before = baseline ? html`<span class="from">${this.score(baseline, false)} →</span>` : nothing;
            figures.push({
                name: 'perplexity',
                label: t('Perplexity'),
                hint: scoreHint(perplexity, formats),
                value: html`${before} ${this.score(perplexity)}`,
                note: baseline ? t('{0} against the original', change(formats, perplexity.value / baseline.value - 1, ratio?.standard_error)) : '',
            });
        } else if (baseline) {
            figures.push({ name: 'perplexity', label: t('Perplexity of the original'), hint: scoreHint(baseline, formats), value: this.score(baseline), note: '' });
        }
        if (kl) {
            figures.push({
                name: 'kl',
                label: t('KL to the original'),
                hint: t('Mean Kullback–Leibler divergence of the next-token distributions, original to quantized. {0}', scoreHint(kl, formats)),
                value: html`${this.score(kl)} <span class="unit">${t('nats')}</span>`,
                note: t('0 for the original itself'),
            });
        }
        if (same) {
            figures.push({
                name: 'same-top',
                label: t('Same top token'),
                hint: t('Share of positions whose most likely token is unchanged. {0}', scoreHint(same, formats)),
                value: html`<b>${formats.percent(same.value, 1)}</b> <span class="error">± ${formats.fixed(same.standard_error * 100, 1)}</span>`,
                note: t('of {0} positions', formats.integer(same.tokens)),
            });
        }
        return figures;
    }

    private score(score: Score, emphasis = true): TemplateResult {
        const { value, error } = this.formats.withError(score.value, score.standard_error);
        return emphasis ? html`<b>${value}</b> <span class="error">± ${error}</span>` : html`${value} <span class="error">± ${error}</span>`;
    }

    private weakestFigure(): Figure | null {
        const { weakest, formats, model } = this;
        if (!weakest) return null;
        const candidate = model.columns[weakest.column] ?? '';
        const { name, label, block } = weakest.row;
        const place = block === null ? label : t('{0}, block {1}', label, block);
        return {
            name: 'weakest',
            label: t('Weakest layer in use'),
            hint: t('{0}: lowest SQNR among the methods in use; a click selects it', name),
            value: html`<b>${formats.fixed(weakest.value, 2)}</b> <span class="unit">dB</span>`,
            note: html`<button @click=${() => {
                events.select(this, { layer: name, candidate });
            }}>${place}</button>`,
        };
    }
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
