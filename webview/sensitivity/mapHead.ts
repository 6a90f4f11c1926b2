import { html, nothing, type TemplateResult } from 'lit';
import type { SortKey } from '../../protocol/panel';
import type { Formats } from '../shared/format';
import { t } from '../shared/strings';
import { columnTitle, partsOf, writtenHint } from './describe';
import { WRITTEN, type Model } from './model';
import { candidateKey } from './sort';
import type { ColumnSummary } from './statistics';

export interface MapHead {
    readonly model: Model;
    readonly summaries: readonly ColumnSummary[];
    readonly formats: Formats;
    readonly sort: SortKey;
    readonly descending: boolean;
    /** Column of the cell under the pointer or the keyboard, −1: none. */
    readonly current: number;
    /** Column whose title has the keyboard. */
    readonly focused: number | null;
    /** Whether the applied methods follow the cells. */
    readonly method: boolean;
    sortBy(key: SortKey): void;
}

/** The titles above the map; each sorts its rows. */
export function mapHead(head: MapHead): TemplateResult {
    return html`
        <div class="corner" role="columnheader" aria-colindex="1" aria-sort=${direction(head, 'name')}>
            <span
                class="gutter sortable"
                title=${t('Sort in the order of the model')}
                @click=${() => {
                    head.sortBy('order');
                }}
                >${t('Block')}${arrow(head, 'order')}</span
            >
            <span
                class="sortable"
                title=${t('Sort by name')}
                @click=${() => {
                    head.sortBy('name');
                }}
                >${t('Layer')}${arrow(head, 'name')}</span
            >
        </div>
        ${head.model.columns.map((label, index) => columnHead(head, label, index))}
        ${head.method ? html`<div class="note" role="presentation" title=${t('The method that was applied')}>${t('Method')}</div>` : nothing}
    `;
}

function columnHead(head: MapHead, label: string, index: number): TemplateResult {
    const key = candidateKey(label);
    const bits = head.summaries[index]?.bits ?? null;
    const classes = [
        'title sortable',
        index === head.current ? 'current' : '',
        label === WRITTEN ? 'apart' : '',
        index === head.focused ? 'focused' : '',
    ];
    return html`<div
        id="head-${index}"
        class=${classes.join(' ')}
        role="columnheader"
        aria-colindex=${index + 2}
        aria-sort=${direction(head, key)}
        title=${label === WRITTEN ? writtenHint(head.model) : t('Sort by {0}', label)}
        @click=${() => {
            head.sortBy(key);
        }}
    >
        <span class="text">${breakable(columnTitle(label))}</span>
        <span class="bits">${bits === null ? '' : t('{0} bits', head.formats.bits(bits))}${arrow(head, key)}</span>
    </div>`;
}

function direction({ sort, descending }: MapHead, key: SortKey): 'none' | 'ascending' | 'descending' {
    if (key !== sort) return 'none';
    return descending ? 'descending' : 'ascending';
}

/** The order of the model needs no arrow: it is what one expects. */
function arrow({ sort, descending }: MapHead, key: SortKey): TemplateResult | typeof nothing {
    if (key !== sort || (key === 'order' && !descending)) return nothing;
    return html`<vscode-icon name=${descending ? 'arrow-down' : 'arrow-up'} size="12"></vscode-icon>`;
}

/** Lets a label such as gptq-w4a16-g128 or awq-w4a16(rounding=gptq) wrap between its parts. */
export function breakable(label: string): unknown {
    return partsOf(label).map((part, index) => (index > 0 ? html`<wbr />${part}` : part));
}
