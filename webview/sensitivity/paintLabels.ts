import type { Scene } from './paint';
import type { Row } from './model';

/** Block numbers, separators and layer names, left of the cells; they stay put when the map scrolls sideways. */
export function paintLabels(
    context: CanvasRenderingContext2D,
    scene: Scene,
    range: { readonly first: number; readonly end: number },
): void {
    context.textBaseline = 'middle';
    for (let index = range.first; index < range.end; index++) {
        const row = scene.rows[index];
        if (!row) continue;
        const top = (scene.layout.tops[index] ?? 0) - scene.offsetY;
        paintName(context, scene, row, top, scene.selected?.row === index || scene.hovered?.row === index);
        if (scene.grouped && startsBlock(scene, index)) paintSeparator(context, scene, top);
    }
    paintBlocks(context, scene, range);
}

function startsBlock(scene: Scene, index: number): boolean {
    return index > 0 && scene.rows[index]?.block !== scene.rows[index - 1]?.block;
}

function paintSeparator(context: CanvasRenderingContext2D, scene: Scene, top: number): void {
    context.fillStyle = scene.palette.line;
    context.fillRect(0, Math.round(top) - 4, Math.min(scene.width, scene.columns.width - scene.offsetX), 1);
}

/** One number for each block; it sticks to the top while its block is scrolled through. Without grouping, one for each row. */
function paintBlocks(context: CanvasRenderingContext2D, scene: Scene, range: { readonly first: number; readonly end: number }): void {
    const { palette, layout, rows, columns } = scene;
    context.font = scene.grouped ? palette.boldFont : palette.font;
    context.textAlign = 'right';
    context.fillStyle = palette.muted;
    for (let index = range.first; index < range.end; index++) {
        const block = rows[index]?.block ?? null;
        const leads = !scene.grouped || index === range.first || startsBlock(scene, index);
        if (block === null || !leads) continue;
        const top = (layout.tops[index] ?? 0) - scene.offsetY;
        const ends = scene.grouped && rows[index + 1]?.block !== block;
        const y = scene.grouped && !ends ? Math.max(0, top) : top;
        context.fillText(String(block), columns.gutter - 12, y + layout.height / 2 + 0.5);
    }
}

/** `self_attn.` dimmed, `q_proj` full: the last part is what the eye looks for, so it is cut last. */
function paintName(context: CanvasRenderingContext2D, scene: Scene, row: Row, top: number, strong: boolean): void {
    const { palette, columns, layout } = scene;
    const room = columns.labels - columns.gutter - 10;
    const cut = row.label.lastIndexOf('.') + 1;
    const y = top + layout.height / 2 + 0.5;
    context.textAlign = 'left';
    context.font = palette.font;
    const last = fitted(context, row.label.slice(cut), room);
    const lastWidth = context.measureText(last).width;
    const path = row.label.slice(0, cut);
    const shown = path === '' ? '' : fittedEnd(context, path, room - lastWidth);
    context.fillStyle = strong ? palette.foreground : palette.muted;
    context.fillText(shown, columns.gutter, y);
    context.fillStyle = palette.foreground;
    context.fillText(last, columns.gutter + context.measureText(shown).width, y);
}

/** The beginning of a text with an ellipsis, if it does not fit. */
export function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
    if (context.measureText(text).width <= room) return text;
    let length = text.length;
    while (length > 0 && context.measureText(`${text.slice(0, length)}…`).width > room) length--;
    return `${text.slice(0, length)}…`;
}

/** The end of a text with an ellipsis before it, if it does not fit; nothing when not even three characters do. */
function fittedEnd(context: CanvasRenderingContext2D, text: string, room: number): string {
    if (context.measureText(text).width <= room) return text;
    for (let from = 1; from < text.length - 3; from++) {
        const shown = `…${text.slice(from)}`;
        if (context.measureText(shown).width <= room) return shown;
    }
    return '';
}
