/** The signs that mark cells. The legend draws with the same functions, so that it cannot differ from the map. */
type Box = readonly [x: number, y: number, width: number, height: number];

const hatches = new Map<string, CanvasPattern>();

/** Diagonal lines, for what has not been measured. */
export function hatch(context: CanvasRenderingContext2D, color: string): CanvasPattern | string {
    const ratio = window.devicePixelRatio;
    const key = `${color} ${String(ratio)}`;
    const known = hatches.get(key);
    if (known) return known;
    const size = Math.round(6 * ratio);
    const tile = new OffscreenCanvas(size, size);
    const pen = tile.getContext('2d');
    if (!pen) return color;
    pen.strokeStyle = color;
    pen.lineWidth = ratio;
    for (const shift of [-size, 0, size]) {
        pen.moveTo(shift, size);
        pen.lineTo(shift + size, 0);
    }
    pen.stroke();
    const pattern = context.createPattern(tile, 'repeat');
    if (!pattern) return color;
    pattern.setTransform(new DOMMatrix().scale(1 / ratio));
    hatches.set(key, pattern);
    return pattern;
}

/** The method in force: a ring around a smaller cell and a filled corner, so that shape tells it as well as line. */
export function paintChosen(context: CanvasRenderingContext2D, [x, y, width, height]: Box, ink: string): void {
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(x + 1, y + 1, width - 2, height - 2, 2);
    context.stroke();
    context.fillStyle = ink;
    context.beginPath();
    context.moveTo(x + width - 10, y + 1);
    context.lineTo(x + width - 1, y + 1);
    context.lineTo(x + width - 1, y + 10);
    context.fill();
}

/** A warning triangle, 10 px wide, its left edge at x and centred on y. */
export function paintWarning(context: CanvasRenderingContext2D, x: number, y: number, ink: string): void {
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.lineWidth = 1.2;
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(x + 5, y - 4.5);
    context.lineTo(x + 10, y + 4);
    context.lineTo(x, y + 4);
    context.closePath();
    context.stroke();
    context.fillRect(x + 4.4, y - 1.8, 1.2, 2.9);
    context.fillRect(x + 4.4, y + 1.9, 1.2, 1.2);
}
