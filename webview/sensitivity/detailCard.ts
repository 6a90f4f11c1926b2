import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { t } from '../shared/strings';
import type { Details } from './describe';

interface Rect {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
}

/** What is known about the cell under the pointer or the keyboard, in the dress of VS Code's own hovers. */
@customElement('quant-detail-card')
export class DetailCard extends LitElement {
    static override styles = css`
        :host {
            position: absolute;
            z-index: 5;
            left: 0;
            top: 0;
            pointer-events: none;
            max-width: 380px;
            padding: 7px 10px;
            border: 1px solid var(--vscode-editorHoverWidget-border, var(--vscode-widget-border));
            border-radius: 4px;
            background: var(--vscode-editorHoverWidget-background);
            color: var(--vscode-editorHoverWidget-foreground);
            box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent);
            font-size: 12px;
            line-height: 18px;
        }
        .title {
            font-weight: 600;
            overflow-wrap: anywhere;
        }
        .subtitle {
            color: var(--vscode-descriptionForeground);
        }
        dl {
            display: grid;
            grid-template-columns: max-content 1fr;
            gap: 0 14px;
            margin: 4px 0 0;
        }
        dt {
            color: var(--vscode-descriptionForeground);
        }
        dd {
            margin: 0;
            font-variant-numeric: tabular-nums;
            overflow-wrap: anywhere;
        }
        .warning {
            color: var(--vscode-editorWarning-foreground);
        }
        .hint {
            margin-top: 5px;
            padding-top: 4px;
            border-top: 1px solid var(--quant-line);
            color: var(--vscode-descriptionForeground);
            font-size: 11px;
        }
    `;

    @property({ attribute: false }) details!: Details;

    protected override render(): TemplateResult {
        const { title, subtitle, facts } = this.details;
        return html`
            <div class="title">${title}</div>
            ${subtitle === null ? nothing : html`<div class="subtitle">${subtitle}</div>`}
            <dl>
                ${facts.map(
                    ({ label, value, warning }) => html`<dt>${label}</dt>
                        <dd class=${warning ? 'warning' : ''}>${value}</dd>`,
                )}
            </dl>
            <div class="hint">${t('Enter or double-click opens the layer in the recipe')}</div>
        `;
    }
}

/** Diagonally beside the anchor, so that the rest of its row and of its column stay readable. */
export function placeCard(card: HTMLElement, within: DOMRect, anchor: Rect): void {
    const { offsetWidth: width, offsetHeight: height } = card;
    const below = anchor.y + anchor.height + 6;
    const above = anchor.y - height - 6;
    const top = below + height <= within.height || above < 0 ? Math.min(below, Math.max(0, within.height - height)) : above;
    const right = anchor.x + anchor.width + 6;
    const left = right + width <= within.width ? right : anchor.x - width - 6;
    card.style.transform = `translate(${String(Math.round(Math.max(4, left)))}px, ${String(Math.round(top))}px)`;
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-detail-card': DetailCard;
    }
}
