import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { t } from '../shared/strings';
import type { Details } from './describe';

interface Size {
    readonly width: number;
    readonly height: number;
}

interface Rect extends Size {
    readonly x: number;
    readonly y: number;
}

/** Where the card may stand, in pixels of the map's own box. */
export interface CardRoom extends Size {
    /** Below the column titles. */
    readonly top: number;
    /** Where the map ends. */
    readonly mapRight: number;
}

export interface CardPlace {
    readonly x: number;
    readonly y: number;
    readonly maxWidth: number;
    readonly maxHeight: number;
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
            box-sizing: border-box;
            padding: 7px 10px;
            overflow: hidden;
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
        /* Over the map every line hides a row of it: only what belongs to the cell, closer together. */
        :host([compact]) {
            padding: 4px 8px;
            font-size: 11px;
            line-height: 15px;
        }
        :host([compact]) dl {
            gap: 0 8px;
            margin-top: 2px;
        }
        :host([compact]) .aside,
        :host([compact]) .hint {
            display: none;
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
    /** It has to stand over the map. */
    @property({ type: Boolean, reflect: true }) compact = false;

    protected override render(): TemplateResult {
        const { title, subtitle, facts } = this.details;
        return html`
            <div class="title">${title}</div>
            ${subtitle === null ? nothing : html`<div class="subtitle">${subtitle}</div>`}
            <dl>
                ${facts.map(
                    ({ label, value, warning, aside }) => html`<dt class=${aside ? 'aside' : ''}>${label}</dt>
                        <dd class="${warning ? 'warning' : ''} ${aside ? 'aside' : ''}">${value}</dd>`,
                )}
            </dl>
            <div class="hint">${t('Enter or double-click opens the layer in the recipe')}</div>
        `;
    }
}

const GAP = 6;
const WIDTH = { least: 200, most: 380 };

/** Whether there is room beside the map for what the card has to say. */
export function hasRoomBeside({ width, mapRight }: CardRoom): boolean {
    return width - mapRight - 2 * GAP >= WIDTH.least + 40;
}

/**
 * Beside the map if there is room; else diagonally beside the cell, on the side with more room, so that the rest of its row and of its column stay
 * readable. The row itself is never covered: a card that is too high for the room above or below is cut.
 */
export function cardPlace(card: Size, room: CardRoom, anchor: Rect): CardPlace {
    const middle = anchor.y + anchor.height / 2 - card.height / 2;
    if (hasRoomBeside(room)) {
        const maxWidth = Math.min(WIDTH.most, room.width - room.mapRight - 2 * GAP);
        return { x: room.mapRight + GAP, y: Math.max(0, Math.min(middle, room.height - card.height)), maxWidth, maxHeight: room.height };
    }
    const right = room.width - (anchor.x + anchor.width + GAP);
    const left = anchor.x - GAP;
    const isRight = right >= Math.min(card.width, WIDTH.most) || right >= left;
    const maxWidth = Math.max(WIDTH.least, Math.min(WIDTH.most, isRight ? right : left));
    const width = Math.min(card.width, maxWidth);
    const x = isRight ? Math.min(anchor.x + anchor.width + GAP, room.width - width) : left - width;
    const below = room.height - (anchor.y + anchor.height + GAP);
    const above = anchor.y - GAP - room.top;
    const isBelow = below >= card.height || below >= above;
    const maxHeight = Math.max(0, isBelow ? below : above);
    const y = isBelow ? anchor.y + anchor.height + GAP : anchor.y - GAP - Math.min(card.height, maxHeight);
    return { x: Math.max(0, x), y, maxWidth, maxHeight };
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-detail-card': DetailCard;
    }
}
