import { css } from 'lit';

export const layerTableStyles = css`
    :host {
        display: block;
        min-height: 0;
    }
    .scroller {
        height: 100%;
        overflow: auto;
        box-sizing: border-box;
        contain: strict;
    }
    /* What the panel hands in where it is low: it scrolls away upwards, not sideways. */
    .above {
        position: sticky;
        left: 0;
    }
    table {
        border-collapse: separate;
        border-spacing: 0;
        font-size: 12px;
        font-variant-numeric: tabular-nums;
    }
    tr {
        height: 22px;
    }
    th,
    td {
        padding: 0 7px;
        height: 22px;
        line-height: 20px;
        box-sizing: border-box;
        white-space: nowrap;
        font-weight: normal;
        text-align: left;
        outline: none;
        background: var(--vscode-editor-background);
    }
    .right {
        text-align: right;
    }
    thead th {
        position: sticky;
        top: 0;
        z-index: 2;
        padding-block: 3px;
        line-height: 15px;
        vertical-align: bottom;
        white-space: normal;
        color: var(--vscode-descriptionForeground);
        border-bottom: 1px solid var(--quant-line);
    }
    thead th.sortable {
        cursor: pointer;
    }
    thead th.sortable:hover,
    thead th[aria-sort='ascending'],
    thead th[aria-sort='descending'] {
        color: var(--vscode-foreground);
    }
    thead vscode-icon {
        vertical-align: -2px;
        margin-left: 2px;
        color: inherit;
    }
    th:nth-child(1),
    td:nth-child(1) {
        color: var(--vscode-descriptionForeground);
        padding-left: 0;
    }
    tbody td:nth-child(2),
    tfoot th,
    thead th:nth-child(2) {
        position: sticky;
        left: 0;
        z-index: 1;
        max-width: 42vw;
        overflow: hidden;
        text-overflow: ellipsis;
    }
    thead th:nth-child(2) {
        z-index: 3;
    }
    tbody tr:hover td {
        background: linear-gradient(var(--vscode-list-hoverBackground), var(--vscode-list-hoverBackground)) var(--vscode-editor-background);
    }
    tbody tr.selected td {
        background: linear-gradient(var(--vscode-list-inactiveSelectionBackground), var(--vscode-list-inactiveSelectionBackground))
            var(--vscode-editor-background);
    }
    tr.starts td {
        border-top: 1px solid var(--quant-line);
    }
    [data-column]:focus-visible {
        box-shadow: inset 0 0 0 2px var(--vscode-focusBorder);
    }
    td.active {
        box-shadow: inset 0 0 0 1px var(--vscode-focusBorder);
    }
    td.chosen {
        font-weight: 600;
    }
    /* Generated, so that the text of a cell is its value and nothing else. */
    td.chosen::before {
        content: '';
        display: inline-block;
        width: 7px;
        height: 7px;
        margin-right: 6px;
        background: currentColor;
        clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%);
    }
    td.fallback::after {
        content: '';
        display: inline-block;
        width: 10px;
        height: 9px;
        margin-left: 5px;
        background: var(--vscode-editorWarning-foreground);
        clip-path: polygon(50% 0, 100% 100%, 0 100%, 0 100%, 44% 88%, 56% 88%, 56% 76%, 44% 76%, 44% 88%, 0 100%);
    }
    td.missing {
        background: repeating-linear-gradient(
            -45deg,
            transparent 0 4px,
            color-mix(in srgb, var(--vscode-descriptionForeground) 40%, transparent) 4px 5px
        );
    }
    tfoot th,
    tfoot td {
        color: var(--vscode-descriptionForeground);
    }
    tfoot tr:first-child > * {
        border-top: 1px solid var(--quant-line);
    }
    .space td {
        padding: 0;
    }
`;
