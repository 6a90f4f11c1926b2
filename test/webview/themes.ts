/** VS Code's own default themes as a webview sees them: the variables that the panels use. */
export interface Theme {
    readonly id: string;
    readonly bodyClass: string;
    readonly variables: Readonly<Record<string, string>>;
}

const common = { 'font-family': 'system-ui, "Ubuntu", "DejaVu Sans", sans-serif', 'font-size': '13px', 'font-weight': 'normal' };

const dark: Theme = {
    id: 'Default Dark Modern',
    bodyClass: 'vscode-dark',
    variables: {
        ...common, 'editor-background': '#1f1f1f', 'editor-foreground': '#cccccc', foreground: '#cccccc', descriptionForeground: '#9d9d9d',
        'icon-foreground': '#cccccc', focusBorder: '#0078d4', 'widget-border': '#313131', 'widget-shadow': 'rgba(0, 0, 0, 0.36)', 'panel-border': '#2b2b2b',
        'list-hoverBackground': '#2a2d2e', 'list-inactiveSelectionBackground': '#37373d', 'toolbar-hoverBackground': 'rgba(90, 93, 94, 0.31)',
        'textLink-foreground': '#4daafc', 'textLink-activeForeground': '#4daafc', errorForeground: '#f85149', 'editorWarning-foreground': '#cca700',
        'testing-iconPassed': '#73c991', 'editorHoverWidget-background': '#202020', 'editorHoverWidget-foreground': '#cccccc',
        'editorHoverWidget-border': '#454545', 'inputValidation-errorBackground': '#5a1d1d', 'inputValidation-errorBorder': '#be1100',
        'inputValidation-warningBackground': '#352a05', 'inputValidation-warningBorder': '#b89500', 'inputValidation-infoBackground': '#063b49',
        'inputValidation-infoBorder': '#007acc', 'button-background': '#0078d4', 'button-foreground': '#ffffff', 'button-border': 'rgba(255, 255, 255, 0.1)',
        'button-secondaryBackground': 'rgba(0, 0, 0, 0)', 'button-secondaryForeground': '#cccccc', 'button-secondaryHoverBackground': '#2b2b2b',
        'input-border': '#3c3c3c', 'inputOption-activeBackground': 'rgba(36, 137, 219, 0.51)', 'inputOption-activeBorder': '#2488db',
        'inputOption-activeForeground': '#ffffff', 'progressBar-background': '#0078d4', 'settings-headerForeground': '#ffffff',
        'scrollbarSlider-background': 'rgba(121, 121, 121, 0.4)', 'quant-heatLow': '#5b2a6e', 'quant-heatMiddle': '#2f7f8f', 'quant-heatHigh': '#e9d55c',
    },
};

const light: Theme = {
    id: 'Default Light Modern',
    bodyClass: 'vscode-light',
    variables: {
        ...common, 'editor-background': '#ffffff', 'editor-foreground': '#3b3b3b', foreground: '#3b3b3b', descriptionForeground: '#3b3b3b',
        'icon-foreground': '#3b3b3b', focusBorder: '#005fb8', 'widget-border': '#e5e5e5', 'widget-shadow': 'rgba(0, 0, 0, 0.16)', 'panel-border': '#e5e5e5',
        'list-hoverBackground': '#f2f2f2', 'list-inactiveSelectionBackground': '#e4e6f1', 'toolbar-hoverBackground': 'rgba(184, 184, 184, 0.31)',
        'textLink-foreground': '#005fb8', 'textLink-activeForeground': '#005fb8', errorForeground: '#f85149', 'editorWarning-foreground': '#bf8803',
        'testing-iconPassed': '#73c991', 'editorHoverWidget-background': '#f8f8f8', 'editorHoverWidget-foreground': '#3b3b3b',
        'editorHoverWidget-border': '#c8c8c8', 'inputValidation-errorBackground': '#f2dede', 'inputValidation-errorBorder': '#be1100',
        'inputValidation-warningBackground': '#f6f5d2', 'inputValidation-warningBorder': '#b89500', 'inputValidation-infoBackground': '#d6ecf2',
        'inputValidation-infoBorder': '#007acc', 'button-background': '#005fb8', 'button-foreground': '#ffffff', 'button-border': 'rgba(0, 0, 0, 0.1)',
        'button-secondaryBackground': '#e5e5e5', 'button-secondaryForeground': '#3b3b3b', 'button-secondaryHoverBackground': '#cccccc',
        'input-border': '#cecece', 'inputOption-activeBackground': '#bed6ed', 'inputOption-activeBorder': '#005fb8',
        'inputOption-activeForeground': '#000000', 'progressBar-background': '#005fb8', 'settings-headerForeground': '#1f1f1f',
        'scrollbarSlider-background': 'rgba(100, 100, 100, 0.4)', 'quant-heatLow': '#5b2a6e', 'quant-heatMiddle': '#3a97a8', 'quant-heatHigh': '#f2e27a',
    },
};

const contrast: Theme = {
    id: 'Default High Contrast',
    bodyClass: 'vscode-high-contrast',
    variables: {
        ...common, 'editor-background': '#000000', 'editor-foreground': '#ffffff', foreground: '#ffffff', descriptionForeground: 'rgba(255, 255, 255, 0.7)',
        'icon-foreground': '#ffffff', focusBorder: '#f38518', contrastBorder: '#6fc3df', contrastActiveBorder: '#f38518', 'widget-border': '#6fc3df',
        'panel-border': '#6fc3df', 'list-hoverBackground': 'rgba(255, 255, 255, 0.1)', 'textLink-foreground': '#21a6ff', 'textLink-activeForeground': '#21a6ff',
        errorForeground: '#f48771', 'editorWarning-foreground': '#ffd370', 'testing-iconPassed': '#73c991', 'editorHoverWidget-background': '#0c141f',
        'editorHoverWidget-foreground': '#ffffff', 'editorHoverWidget-border': '#6fc3df', 'inputValidation-errorBackground': '#000000',
        'inputValidation-errorBorder': '#6fc3df', 'inputValidation-warningBackground': '#000000', 'inputValidation-warningBorder': '#6fc3df',
        'inputValidation-infoBackground': '#000000', 'inputValidation-infoBorder': '#6fc3df', 'button-foreground': '#ffffff', 'button-border': '#6fc3df',
        'button-secondaryForeground': '#ffffff', 'input-border': '#6fc3df', 'inputOption-activeBackground': 'rgba(0, 0, 0, 0)',
        'inputOption-activeBorder': '#6fc3df', 'inputOption-activeForeground': '#ffffff', 'progressBar-background': '#6fc3df',
        'settings-headerForeground': '#ffffff', 'quant-heatLow': '#8a3ffc', 'quant-heatMiddle': '#12a38c', 'quant-heatHigh': '#f1c21b',
    },
};

const contrastLight: Theme = {
    id: 'Default High Contrast Light',
    bodyClass: 'vscode-high-contrast vscode-high-contrast-light',
    variables: {
        ...common, 'editor-background': '#ffffff', 'editor-foreground': '#292929', foreground: '#292929', descriptionForeground: 'rgba(41, 41, 41, 0.7)',
        'icon-foreground': '#292929', focusBorder: '#006bbd', contrastBorder: '#0f4a85', contrastActiveBorder: '#006bbd', 'widget-border': '#0f4a85',
        'panel-border': '#0f4a85', 'list-hoverBackground': 'rgba(15, 74, 133, 0.1)', 'list-inactiveSelectionBackground': 'rgba(15, 74, 133, 0.1)',
        'textLink-foreground': '#0f4a85', 'textLink-activeForeground': '#0f4a85', errorForeground: '#b5200d', 'editorWarning-foreground': '#895503',
        'testing-iconPassed': '#007100', 'editorHoverWidget-background': '#ffffff', 'editorHoverWidget-foreground': '#292929',
        'editorHoverWidget-border': '#0f4a85', 'inputValidation-errorBackground': '#ffffff', 'inputValidation-errorBorder': '#0f4a85',
        'inputValidation-warningBackground': '#ffffff', 'inputValidation-warningBorder': '#0f4a85', 'inputValidation-infoBackground': '#ffffff',
        'inputValidation-infoBorder': '#0f4a85', 'button-background': '#0f4a85', 'button-foreground': '#ffffff', 'button-border': '#0f4a85',
        'button-secondaryBackground': '#ffffff', 'button-secondaryForeground': '#292929', 'input-border': '#0f4a85',
        'inputOption-activeBackground': 'rgba(0, 0, 0, 0)', 'inputOption-activeBorder': '#0f4a85', 'inputOption-activeForeground': '#292929',
        'progressBar-background': '#0f4a85', 'settings-headerForeground': '#292929',
        'quant-heatLow': '#8a3ffc', 'quant-heatMiddle': '#12a38c', 'quant-heatHigh': '#f1c21b',
    },
};

export const themes = { dark, light, 'high-contrast': contrast, 'high-contrast-light': contrastLight } as const;
export type ThemeName = keyof typeof themes;
