import { css, html, LitElement, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '@vscode-elements/elements/dist/vscode-toolbar-button/vscode-toolbar-button.js';
import type { SensitivityState } from '../../protocol/panel';
import { t } from '../shared/strings';
import { events } from './events';

/** Map or table, the legend between, and copying. */
@customElement('quant-view-toolbar')
export class ViewToolbar extends LitElement {
    static override styles = css`
        :host {
            display: flex;
            align-items: center;
            gap: 6px 16px;
            min-height: 24px;
            flex-wrap: wrap;
        }
        .switch {
            display: flex;
            flex: none;
            border: 1px solid var(--vscode-contrastBorder, var(--vscode-input-border, var(--quant-line)));
            border-radius: 4px;
            overflow: hidden;
        }
        .switch button {
            font: inherit;
            font-size: 12px;
            line-height: 20px;
            padding: 0 10px;
            border: none;
            color: var(--vscode-foreground);
            background: transparent;
            cursor: pointer;
        }
        .switch button:hover {
            background: var(--vscode-toolbar-hoverBackground);
        }
        .switch button[aria-checked='true'] {
            color: var(--vscode-inputOption-activeForeground, var(--vscode-foreground));
            background: var(--vscode-inputOption-activeBackground);
            box-shadow: inset 0 0 0 1px var(--vscode-inputOption-activeBorder, transparent);
            border-radius: 3px;
        }
        .switch button:focus-visible {
            outline: 2px solid var(--vscode-focusBorder);
            outline-offset: -2px;
        }
        slot {
            display: block;
            flex: 1;
            min-width: 0;
        }
        /* A narrow panel gives the legend a line of its own. */
        @media (max-width: 700px) {
            slot {
                order: 1;
                flex-basis: 100%;
            }
        }
        .actions {
            display: flex;
            flex: none;
            align-self: start;
            margin-left: auto;
        }
    `;

    @property() view: SensitivityState['view'] = 'map';

    protected override render(): TemplateResult {
        return html`
            <div class="switch" role="radiogroup" aria-label=${t('View')} @keydown=${this.onKey}>
                ${this.renderChoice('map', t('Map'))} ${this.renderChoice('table', t('Table'))}
            </div>
            <slot name="legend"></slot>
            <div class="actions">
                <vscode-toolbar-button
                    icon="copy"
                    label=${t('Copy as CSV')}
                    title=${t('Copy as CSV')}
                    @click=${() => {
                        events.copy(this, 'csv');
                    }}
                ></vscode-toolbar-button>
                <vscode-toolbar-button
                    icon="markdown"
                    label=${t('Copy as Markdown')}
                    title=${t('Copy as Markdown')}
                    @click=${() => {
                        events.copy(this, 'markdown');
                    }}
                ></vscode-toolbar-button>
            </div>
        `;
    }

    private renderChoice(view: SensitivityState['view'], label: string): TemplateResult {
        const checked = view === this.view;
        return html`<button
            type="button"
            role="radio"
            data-view=${view}
            aria-checked=${checked}
            tabindex=${checked ? 0 : -1}
            @click=${() => {
                events.view(this, view);
            }}
        >
            ${label}
        </button>`;
    }

    private readonly onKey = (event: KeyboardEvent): void => {
        if (!event.key.startsWith('Arrow')) return;
        event.preventDefault();
        const view = this.view === 'map' ? 'table' : 'map';
        events.view(this, view);
        this.renderRoot.querySelector<HTMLElement>(`[data-view="${view}"]`)?.focus();
    };
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-view-toolbar': ViewToolbar;
    }
}
