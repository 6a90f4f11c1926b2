import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { t } from '../shared/strings';
import { events } from './events';

export interface NoticeText {
    readonly severity: 'error' | 'warning' | 'information';
    readonly title: string;
    readonly lines: readonly string[];
    readonly log: boolean;
}

/** Something to know before reading the figures: an error, fallbacks, a silent run. */
@customElement('quant-notice')
export class Notice extends LitElement {
    static override styles = css`
        :host {
            display: flex;
            gap: 8px;
            padding: 4px 10px;
            border-radius: 4px;
            border: 1px solid var(--edge);
            background: var(--ground);
            line-height: 18px;
        }
        :host([severity='error']) {
            --edge: var(--vscode-inputValidation-errorBorder);
            --ground: var(--vscode-inputValidation-errorBackground);
        }
        :host([severity='warning']) {
            --edge: var(--vscode-inputValidation-warningBorder);
            --ground: var(--vscode-inputValidation-warningBackground);
        }
        :host([severity='information']) {
            --edge: var(--vscode-inputValidation-infoBorder);
            --ground: var(--vscode-inputValidation-infoBackground);
        }
        .text {
            flex: 1;
            min-width: 0;
            overflow-wrap: anywhere;
            max-height: 90px;
            overflow: auto;
        }
        .title {
            font-weight: 600;
            margin-right: 6px;
        }
        vscode-icon {
            flex: none;
            margin-top: 1px;
        }
        :host([severity='error']) vscode-icon {
            color: var(--vscode-errorForeground);
        }
        :host([severity='warning']) vscode-icon {
            color: var(--vscode-editorWarning-foreground);
        }
        vscode-button {
            flex: none;
            align-self: start;
        }
    `;

    @property({ attribute: false }) text!: NoticeText;
    @property({ reflect: true }) severity: NoticeText['severity'] = 'information';

    protected override willUpdate(): void {
        this.severity = this.text.severity;
    }

    protected override render(): TemplateResult {
        const { severity, title, lines, log } = this.text;
        return html`
            <vscode-icon name=${severity === 'information' ? 'info' : severity}></vscode-icon>
            <div class="text">
                <span class="title">${title}</span>
                ${lines.length === 1 ? html`<span> ${lines[0]}</span>` : lines.map((line) => html`<div>${line}</div>`)}
            </div>
            ${log
                ? html`<vscode-button
                      secondary
                      @click=${() => {
                          events.action(this, 'show-log');
                      }}
                      >${t('Show Log')}</vscode-button
                  >`
                : nothing}
        `;
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-notice': Notice;
    }
}
