import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '@vscode-elements/elements/dist/vscode-button/vscode-button.js';
import '@vscode-elements/elements/dist/vscode-icon/vscode-icon.js';
import '@vscode-elements/elements/dist/vscode-progress-bar/vscode-progress-bar.js';
import type { Result } from '../../protocol/generated/result';
import type { RunRecord } from '../../protocol/generated/run';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { events } from './events';
import { baseName, isLive, progressText, stateIcon, stateTitle } from './runState';

/** Which recipe and model, and how the run stands. */
@customElement('quant-run-header')
export class RunHeader extends LitElement {
    static override styles = css`
        :host {
            display: block;
        }
        .line {
            display: flex;
            align-items: center;
            gap: 8px;
            min-height: 26px;
        }
        .names {
            flex: 1;
            min-width: 0;
            overflow: hidden;
            text-overflow: ellipsis;
            white-space: nowrap;
        }
        h1 {
            display: inline;
            margin: 0;
            font-size: 15px;
            font-weight: 600;
            color: var(--vscode-settings-headerForeground, var(--vscode-foreground));
        }
        .names span,
        .facts {
            color: var(--vscode-descriptionForeground);
        }
        .names span {
            margin-left: 8px;
        }
        .facts {
            font-size: 12px;
            line-height: 18px;
            overflow: hidden;
            text-overflow: ellipsis;
            white-space: nowrap;
        }
        .facts .state {
            color: var(--vscode-foreground);
        }
        vscode-icon {
            flex: none;
        }
        .done {
            color: var(--vscode-testing-iconPassed, var(--vscode-charts-green));
        }
        .failed {
            color: var(--vscode-errorForeground);
        }
        .done-with-fallbacks {
            color: var(--vscode-editorWarning-foreground);
        }
        vscode-progress-bar {
            display: block;
            margin-top: 6px;
        }
        vscode-button {
            flex: none;
        }
    `;

    @property({ attribute: false }) run!: RunRecord;
    @property({ attribute: false }) result: Result | null = null;
    @property({ attribute: false }) formats!: Formats;
    @property({ type: Boolean }) stoppable = false;
    @property({ type: Boolean }) still = false;

    /** Cancel; then nothing more to do, unless that takes long. */
    private renderStop(): TemplateResult {
        const cancelling = this.run.state === 'cancelling';
        const idle = cancelling && !this.stoppable;
        const title = idle ? t('Cancelling…') : cancelling ? t('Stop Now') : t('Cancel');
        return html`<vscode-button
            secondary
            icon="debug-stop"
            ?disabled=${idle}
            @click=${() => {
                if (!idle) events.action(this, cancelling ? 'stop' : 'cancel');
            }}
            >${title}</vscode-button
        >`;
    }

    protected override render(): TemplateResult {
        const { run } = this;
        const live = isLive(run);
        const facts = [live ? progressText(run, this.formats) : stateTitle(run.state), ...this.facts()];
        return html`
            <div class="line">
                <vscode-icon class=${run.state} name=${stateIcon(run.state)} ?spin=${live && !this.still}></vscode-icon>
                <div class="names" title="${run.recipe}&#10;${run.model}">
                    <h1>${baseName(run.recipe)}</h1>
                    <span>${baseName(run.model)}</span>
                </div>
                ${live ? this.renderStop() : nothing}
            </div>
            <div class="facts" title=${facts.join(' · ')}><span class="state">${facts[0]}</span>${facts.slice(1).map((fact) => ` · ${fact}`)}</div>
            ${live ? this.renderProgress() : nothing}
        `;
    }

    private facts(): string[] {
        const { run, result, formats } = this;
        const facts: string[] = [];
        if (isLive(run)) {
            const { doing, seconds_left: left } = run.progress ?? {};
            if (doing) facts.push(doing);
            // Below that it is over before it is read.
            if (typeof left === 'number' && left >= 10) facts.push(t('about {0} left', formats.duration(left)));
            facts.push(t('started {0}', formats.time(run.created)));
        } else facts.push(formats.time(run.finished ?? run.updated));
        if (result && !isLive(run)) {
            const seconds = Object.values(result.seconds).reduce((sum, value) => sum + value, 0);
            facts.push(t('took {0}', formats.duration(seconds)));
            facts.push(t('{0} layers', formats.integer(result.layers.length)));
            const tokens = result.calibration_tokens;
            facts.push(tokens > 0 ? t('{0} calibration tokens', formats.integer(tokens)) : t('no calibration data'));
        }
        facts.push(run.device);
        return facts;
    }

    private renderProgress(): TemplateResult {
        const { progress } = this.run;
        const known = progress !== null && progress.total > 0;
        return html`<vscode-progress-bar
            aria-label=${progressText(this.run, this.formats)}
            .value=${known ? progress.done : undefined}
            max=${known ? progress.total : 100}
            ?indeterminate=${!known}
        ></vscode-progress-bar>`;
    }
}

declare global {
    interface HTMLElementTagNameMap {
        'quant-run-header': RunHeader;
    }
}
