/** Runs in the page: changes of the DOM within `watch` milliseconds, shadow roots included, after `settle` milliseconds. */
export async function countMutations({ settle, watch }: { settle: number; watch: number }): Promise<number> {
    const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
    await pause(settle);
    let count = 0;
    const observer = new MutationObserver((records) => (count += records.length));
    const observe = (root: Document | ShadowRoot): void => {
        observer.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
        for (const element of root.querySelectorAll('*')) if (element.shadowRoot) observe(element.shadowRoot);
    };
    observe(document);
    await pause(watch);
    count += observer.takeRecords().length;
    observer.disconnect();
    return count;
}

/** Runs in the page: texts and controls inside the elements named that are clipped or stand out of the panel. */
export function cutOff(names: readonly string[]): string[] {
    const panel = document.querySelector('quant-sensitivity');
    const right = (panel?.getBoundingClientRect().right ?? 0) + 0.5;
    return names.flatMap((name) => {
        const root = panel?.shadowRoot?.querySelector(name)?.shadowRoot;
        if (!root) return [`${name} is not there`];
        const bad = [...root.querySelectorAll<HTMLElement>('*:not(style, slot)')].filter((element) => {
            const { overflow, display } = getComputedStyle(element);
            const clipped = display !== 'inline' && overflow !== 'visible' && (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight);
            return clipped || element.getBoundingClientRect().right > right;
        });
        return bad.map((element) => `${name}: ${element.className || element.localName} “${element.textContent.trim().replaceAll(/\s+/g, ' ')}”`);
    });
}
