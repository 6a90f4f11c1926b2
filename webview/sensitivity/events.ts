import type { SensitivityState, SortKey } from '../../protocol/panel';

/** What the parts of the panel tell its root, by one name and detail each. */
interface PanelEvents {
    'quant-select': SensitivityState['selection'];
    'quant-sort': SortKey;
    'quant-open-layer': string;
    'quant-view': SensitivityState['view'];
    'quant-scale': 'all' | 'column';
    'quant-copy': 'csv' | 'markdown';
    'quant-action': 'cancel' | 'stop' | 'resume' | 'show-log' | 'show-newer';
}

declare global {
    // Typed listeners for the events above.
    interface HTMLElementEventMap {
        'quant-select': CustomEvent<PanelEvents['quant-select']>;
        'quant-sort': CustomEvent<PanelEvents['quant-sort']>;
        'quant-open-layer': CustomEvent<PanelEvents['quant-open-layer']>;
        'quant-view': CustomEvent<PanelEvents['quant-view']>;
        'quant-scale': CustomEvent<PanelEvents['quant-scale']>;
        'quant-copy': CustomEvent<PanelEvents['quant-copy']>;
        'quant-action': CustomEvent<PanelEvents['quant-action']>;
    }
}

function dispatch<Name extends keyof PanelEvents>(from: HTMLElement, name: Name, detail: PanelEvents[Name]): void {
    from.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
}

export const events = {
    select: (from: HTMLElement, selection: PanelEvents['quant-select']): void => {
        dispatch(from, 'quant-select', selection);
    },
    sort: (from: HTMLElement, key: SortKey): void => {
        dispatch(from, 'quant-sort', key);
    },
    openLayer: (from: HTMLElement, layer: string): void => {
        dispatch(from, 'quant-open-layer', layer);
    },
    view: (from: HTMLElement, view: PanelEvents['quant-view']): void => {
        dispatch(from, 'quant-view', view);
    },
    scale: (from: HTMLElement, scale: PanelEvents['quant-scale']): void => {
        dispatch(from, 'quant-scale', scale);
    },
    copy: (from: HTMLElement, format: PanelEvents['quant-copy']): void => {
        dispatch(from, 'quant-copy', format);
    },
    action: (from: HTMLElement, action: PanelEvents['quant-action']): void => {
        dispatch(from, 'quant-action', action);
    },
};
