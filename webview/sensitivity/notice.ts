import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { t } from '../shared/strings';
import { events } from './events';

/** More lines than this and one more are folded. */
const SHOWN = 3;

export interface NoticeText {
    readonly severity: 'error' | 'warning' | 'information';
    readonly title: string;
    readonly lines: readonly string[];
    readonly actions: readonly { readonly name: 'resume' | 'show-log' | 'show-newer'; readonly title: string }[];
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
        }
        summary {
            cursor: pointer;
            color: var(--vscode-textLink-foreground);
            width: max-content;
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
        /* The first line beside the middle of the button. */
        :host([actionable]) .text {
            padding: 4px 0;
        }
        :host([actionable]) vscode-icon {
            margin-top: 5px;
        }
    `;

    @property({ attribute: false }) text!: NoticeText;
    @property({ reflect: true }) severity: NoticeText['severity'] = 'information';

    @property({ type: Boolean, reflect: true }) actionable = false;

    protected override willUpdate(): void {
        this.severity = this.text.severity;
        this.actionable = this.text.actions.length > 0;
    }

    /** A few lines, and the rest where it is asked for. */
    private renderLines(lines: readonly string[]): TemplateResult {
        const few = lines.length > SHOWN + 1 ? SHOWN : lines.length;
        const shown = (some: readonly string[]): TemplateResult[] => some.map((line) => html`<div>${line}</div>`);
        return html`${shown(lines.slice(0, few))}
        ${few < lines.length ? html`<details><summary>${t('{0} more', lines.length - few)}</summary>${shown(lines.slice(few))}</details>` : nothing}`;
    }

    protected override render(): TemplateResult {
        const { severity, title, lines, actions } = this.text;
        return html`
            <vscode-icon name=${severity === 'information' ? 'info' : severity}></vscode-icon>
            <div class="text">
                <span class="title">${title}</span>
                ${lines.length === 1 ? html`<span> ${lines[0]}</span>` : this.renderLines(lines)}
            </div>
            ${actions.map(
                (action) =>
                    html`<vscode-button
                        secondary
                        @click=${() => {
                            events.action(this, action.name);
                        }}
                        >${action.title}</vscode-button
                    >`,
            )}
        `;
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-notice': Notice;
    }
}
