import { css } from 'lit';

export const heatMapStyles = css`
    :host {
        display: block;
        position: relative;
        min-height: 0;
    }
    .scroller {
        /* Keeps what is placed absolutely in it from lengthening the page. */
        position: relative;
        height: 100%;
        overflow: auto;
        box-sizing: border-box;
    }
    /* What the panel hands in where it is low: it scrolls away upwards, not sideways. */
    .above {
        position: sticky;
        left: 0;
    }
    .grid {
        outline: none;
    }
    .head,
    .summary {
        display: grid;
        grid-template-columns: var(--columns);
        min-width: var(--map-width);
        width: max-content;
    }
    .head {
        position: sticky;
        top: 0;
        z-index: 2;
        background: var(--vscode-editor-background);
        border-bottom: 1px solid var(--quant-line);
    }
    .corner,
    .summary .name {
        position: sticky;
        left: 0;
        background: var(--vscode-editor-background);
        z-index: 1;
        width: var(--labels);
        box-sizing: border-box;
    }
    .corner {
        display: flex;
        align-items: end;
        padding-bottom: 5px;
        color: var(--vscode-descriptionForeground);
        font-size: 11px;
    }
    .corner .gutter {
        width: var(--gutter);
        flex: none;
    }
    .sortable {
        cursor: pointer;
        white-space: nowrap;
    }
    .sortable:hover,
    .title.current {
        color: var(--vscode-foreground);
    }
    .sortable vscode-icon {
        vertical-align: -2px;
        color: inherit;
    }
    .title {
        display: flex;
        flex-direction: column;
        align-items: center;
        justify-content: end;
        padding: 4px 3px 3px;
        min-width: 0;
        font-size: 12px;
        line-height: 15px;
        text-align: center;
        white-space: normal;
        color: var(--vscode-descriptionForeground);
        border-bottom: 2px solid transparent;
        margin-bottom: -1px;
    }
    .title.current {
        border-bottom-color: var(--vscode-focusBorder);
    }
    .title.focused {
        outline: 2px solid var(--vscode-focusBorder);
        outline-offset: -2px;
    }
    .title .text {
        min-width: 0;
        overflow-wrap: anywhere;
    }
    .note {
        align-self: end;
        padding: 0 8px 4px;
        font-size: 11px;
        color: var(--vscode-descriptionForeground);
    }
    .apart {
        margin-left: var(--apart);
    }
    .title .text {
        color: var(--vscode-foreground);
    }
    .title .bits {
        font-size: 11px;
        white-space: nowrap;
        font-variant-numeric: tabular-nums;
    }
    :host([tight]) .title .bits {
        font-size: 10px;
        white-space: normal;
    }
    :host([upright]) .title .text {
        writing-mode: vertical-rl;
        transform: rotate(180deg);
        max-height: 120px;
        max-width: 100%;
        margin-bottom: 4px;
        text-align: start;
        /* Three lines in the narrowest column. */
        line-height: 13px;
        overflow: hidden;
    }
    .summary {
        font-size: 12px;
        line-height: 18px;
        font-variant-numeric: tabular-nums;
    }
    .summary .name {
        color: var(--vscode-descriptionForeground);
        padding-left: 0;
        white-space: nowrap;
        overflow: hidden;
        text-overflow: ellipsis;
    }
    .summary .value {
        text-align: center;
    }
    .stage {
        position: relative;
        margin-top: 4px;
        min-width: var(--map-width);
    }
    canvas {
        position: sticky;
        left: 0;
        display: block;
        cursor: default;
    }
    .spoken {
        position: absolute;
        top: 0;
        left: 0;
        width: 1px;
        height: 1px;
        overflow: hidden;
        clip-path: inset(50%);
        white-space: nowrap;
    }
`;
