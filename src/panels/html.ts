export interface PanelPage {
    readonly language: string;
    readonly title: string;
    readonly nonce: string;
    /** The webview's own origin, for the policy. */
    readonly cspSource: string;
    readonly script: string;
    readonly icons: string;
    /** The panel's custom element. */
    readonly element: string;
}

/** A page that may run our script, with our styles, fonts and images, and nothing else. */
export function panelHtml(page: PanelPage): string {
    const policy = [
        `default-src 'none'`, `script-src 'nonce-${page.nonce}'`, `style-src ${page.cspSource}`, `font-src ${page.cspSource}`, `img-src ${page.cspSource}`,
    ].join('; ');
    return `<!DOCTYPE html>
<html lang="${attribute(page.language)}">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>${attribute(page.title)}</title>
<link rel="stylesheet" href="${attribute(page.icons)}" id="vscode-codicon-stylesheet">
</head>
<body>
<${page.element}></${page.element}>
<script nonce="${page.nonce}" src="${attribute(page.script)}"></script>
</body>
</html>
`;
}

function attribute(text: string): string {
    return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
