import { css } from 'lit';

export const appStyles = css`
    :host {
        --quant-line: var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
        display: block;
        /* The page's own padding (0 20px) is VS Code's; this makes the panel exactly as high as the page. */
        height: 100vh;
        box-sizing: border-box;
        overflow: auto;
        color: var(--vscode-foreground);
        font-family: var(--vscode-font-family);
        font-size: var(--vscode-font-size);
        /* Inherited by everything that scrolls in here; rules for ::-webkit-scrollbar would not reach into shadow roots. */
        scrollbar-color: var(--vscode-scrollbarSlider-background) transparent;
    }
    :host-context(.vscode-high-contrast),
    :host-context(.vscode-high-contrast-light) {
        scrollbar-color: var(--vscode-contrastBorder) transparent;
    }
    main {
        display: flex;
        flex-direction: column;
        gap: 6px;
        height: 100%;
        box-sizing: border-box;
    }
    .top,
    header {
        display: flex;
        flex-direction: column;
        gap: 6px;
        flex: none;
    }
    .top {
        padding-top: 6px;
    }
    .low .top {
        padding-bottom: 8px;
    }
    /* More than usual stands above the data (an unfolded list): it scrolls by itself and leaves the data its room. */
    .high .top:not(:last-child) {
        max-height: calc(100% - 270px);
        box-sizing: border-box;
        overflow: hidden auto;
        /* Room for the focus outlines of the last line, which scrolling would clip. */
        padding-bottom: 3px;
    }
    .caption {
        margin: -2px 0 0;
        font-size: 11px;
        line-height: 15px;
        color: var(--vscode-descriptionForeground);
    }
    .data {
        flex: 1 1 0;
        min-height: 0;
    }
    .message {
        margin: auto;
        padding: 24px;
        max-width: 460px;
        text-align: center;
        color: var(--vscode-descriptionForeground);
        overflow-wrap: anywhere;
        line-height: 1.5;
    }
    .message-title {
        margin: 10px 0 4px;
        font-size: 15px;
        color: var(--vscode-foreground);
    }
    .spoken {
        position: absolute;
        /* Below the panel, where it would stand by itself, its one pixel would make the page scroll. */
        top: 0;
        width: 1px;
        height: 1px;
        overflow: hidden;
        clip-path: inset(50%);
        white-space: nowrap;
    }
`;
