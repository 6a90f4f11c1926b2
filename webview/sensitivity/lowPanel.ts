interface Size {
    readonly width: number;
    readonly height: number;
}

/**
 * Heights that a usual header, one notice, the key figures, the legend and some rows of the data take. The narrower the panel, the more lines they wrap to.
 * Deliberately not measured from the content: what is decided here changes the content's own height, and the two would chase each other.
 */
const NEEDED = [
    { from: 660, height: 460 },
    { from: 420, height: 520 },
    { from: 0, height: 660 },
] as const;
/** How much further a size must go back before the decision does. */
const HYSTERESIS = 24;

/** Whether everything must scroll together because the panel is too low for the data to scroll by itself. */
export function isLow(panel: Size, before: boolean): boolean {
    const slack = before ? HYSTERESIS : 0;
    const needed = NEEDED.find(({ from }) => panel.width - slack >= from) ?? NEEDED[2];
    return panel.height < needed.height + slack;
}
