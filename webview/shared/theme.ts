/** The value of a VS Code theme variable, for example `editor-background`; the fallback when the theme does not define it. */
export function themeColor(name: string, fallback: string): string {
    const value = getComputedStyle(document.body).getPropertyValue(`--vscode-${name}`).trim();
    return value === '' ? fallback : value;
}

export function isHighContrast(): boolean {
    // The light high-contrast theme carries both classes, but older hosts set the specific one only.
    const { classList } = document.body;
    return classList.contains('vscode-high-contrast-light') || classList.contains('vscode-high-contrast');
}

export function usesScreenReader(): boolean {
    return document.body.classList.contains('vscode-using-screen-reader');
}

/** Calls back when the theme changes: VS Code rewrites the body's class and the variables in the root's style. Returns the undo. */
export function onThemeChange(callback: () => void): () => void {
    const observer = new MutationObserver(callback);
    const attributes = ['class', 'style', 'data-vscode-theme-id'];
    observer.observe(document.body, { attributes: true, attributeFilter: attributes });
    observer.observe(document.documentElement, { attributes: true, attributeFilter: attributes });
    return () => {
        observer.disconnect();
    };
}

/** Whether nothing should move: the system's wish or VS Code's own setting. */
export function prefersStillness(): boolean {
    return document.body.classList.contains('vscode-reduce-motion') || matchMedia('(prefers-reduced-motion: reduce)').matches;
}
