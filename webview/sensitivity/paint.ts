import type { Measurement } from '../../protocol/generated/result';
import type { Formats } from '../shared/format';
import type { GridPosition } from '../shared/gridKeys';
import { t } from '../shared/strings';
import { cellText } from './describe';
import { columnLeft, NOTE_PADDING, visibleColumns, visibleRows, type Columns, type Rows } from './layout';
import { hatch, paintChosen, paintWarning } from './marks';
import { fallbackOf, isInUse, WRITTEN, type Model, type Row } from './model';
import type { Palette } from './palette';
import { fitted, paintLabels } from './paintLabels';
import { position, type Limits } from './scale';

/** Everything one frame shows. Offsets are those of the visible part within the whole map. */
export interface Scene {
    readonly model: Model;
    readonly rows: readonly Row[];
    readonly columns: Columns;
    readonly layout: Rows;
    readonly grouped: boolean;
    /** By column. */
    readonly limits: readonly (Limits | null)[];
    readonly palette: Palette;
    readonly formats: Formats;
    readonly offsetX: number;
    readonly offsetY: number;
    readonly width: number;
    readonly height: number;
    readonly selected: GridPosition | null;
    readonly hovered: GridPosition | null;
    readonly focused: boolean;
}

const GAP = 1;
const RADIUS = 2;

/** Paints the visible part; cost depends on the size of the panel, not of the model. */
export function paintMap(context: CanvasRenderingContext2D, scene: Scene): void {
    const { palette, width, height } = scene;
    context.fillStyle = palette.background;
    context.fillRect(0, 0, width, height);
    const rows = visibleRows(scene.layout, scene.offsetY, height);
    const columns = visibleColumns(scene.columns, scene.offsetX, width);
    paintHover(context, scene);
    context.save();
    context.beginPath();
    context.rect(scene.columns.labels, 0, width - scene.columns.labels, height);
    context.clip();
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    for (let row = rows.first; row < rows.end; row++) {
        for (let column = columns.first; column < columns.end; column++) paintCell(context, scene, row, column);
        if (scene.columns.note > 0) paintMethod(context, scene, row);
    }
    paintSelection(context, scene);
    context.restore();
    paintLabels(context, scene, rows);
}

function box(scene: Scene, row: number, column: number): readonly [x: number, y: number, width: number, height: number] {
    const x = columnLeft(scene.columns, column) - scene.offsetX;
    const y = (scene.layout.tops[row] ?? 0) - scene.offsetY;
    return [x + GAP, y + GAP, scene.columns.cell - 2 * GAP, scene.layout.height - 2 * GAP];
}

function paintCell(context: CanvasRenderingContext2D, scene: Scene, rowIndex: number, column: number): void {
    const row = scene.rows[rowIndex];
    if (!row) return;
    const rect = box(scene, rowIndex, column);
    const measurement = row.cells[column] ?? null;
    const chosen = isInUse(scene.model, row, column);
    const [x, y, width, height] = rect;
    if (!measurement && scene.model.columns[column] === WRITTEN && !scene.model.live) {
        paintWord(context, scene, rect, t('kept'));
        return;
    }
    const ink = paintGround(context, scene, chosen ? [x + 3, y + 3, width - 6, height - 6] : rect, measurement, scene.limits[column] ?? null);
    if (measurement) {
        context.fillStyle = ink;
        context.font = chosen ? scene.palette.boldFont : scene.palette.font;
        context.fillText(cellText(measurement, scene.formats, width >= 56 ? 2 : 1), x + width / 2, y + height / 2 + 0.5);
    }
    if (chosen) paintChosen(context, rect, scene.palette.foreground);
    if (fallbackOf(row, scene.model.columns[column] ?? '', measurement) !== null) paintWarning(context, x + 4, y + height / 2, ink);
}

/** The applied method by name, after the cells; dimmed where a mark among the candidates tells the same. */
function paintMethod(context: CanvasRenderingContext2D, scene: Scene, index: number): void {
    const row = scene.rows[index];
    if (!row?.applied) return;
    const { columns, palette, layout } = scene;
    context.font = palette.font;
    context.fillStyle = row.chosen >= 0 ? palette.muted : palette.foreground;
    context.textAlign = 'left';
    const x = columns.width - columns.note + NOTE_PADDING - scene.offsetX;
    context.fillText(fitted(context, row.applied, columns.note - 2 * NOTE_PADDING), x, (layout.tops[index] ?? 0) - scene.offsetY + layout.height / 2 + 0.5);
    context.textAlign = 'center';
}

/** Paints the cell's ground for its state and returns the colour to write on it. */
function paintGround(
    context: CanvasRenderingContext2D,
    { palette }: Scene,
    [x, y, width, height]: readonly [number, number, number, number],
    measurement: Measurement | null,
    limits: Limits | null,
): string {
    context.beginPath();
    context.roundRect(x, y, width, height, RADIUS);
    const value = measurement?.sqnr_db ?? null;
    if (value !== null && limits) {
        const paint = palette.ramp.at(position(value, limits));
        context.fillStyle = paint.fill;
        context.fill();
        if (palette.highContrast) outline(context, palette.contrastBorder, []);
        return paint.ink;
    }
    if (!measurement) {
        context.fillStyle = hatch(context, palette.muted);
        context.globalAlpha = 0.45;
        context.fill();
        context.globalAlpha = 1;
        if (palette.highContrast) outline(context, palette.contrastBorder, [2, 2]);
        return palette.foreground;
    }
    outline(context, palette.muted, measurement.state === 'infinite' ? [] : [2, 2]);
    return palette.foreground;
}

/** A word instead of a value, for what was never meant to be measured. */
function paintWord(context: CanvasRenderingContext2D, { palette }: Scene, [x, y, width, height]: readonly [number, number, number, number], word: string): void {
    context.font = palette.font;
    context.fillStyle = palette.muted;
    context.fillText(word, x + width / 2, y + height / 2 + 0.5, width);
}

function outline(context: CanvasRenderingContext2D, color: string, dash: readonly number[]): void {
    context.save();
    context.strokeStyle = color;
    context.lineWidth = 1;
    context.setLineDash([...dash]);
    context.stroke();
    context.restore();
}

function paintHover(context: CanvasRenderingContext2D, scene: Scene): void {
    const at = scene.hovered ?? scene.selected;
    if (!at || at.row < 0) return;
    context.fillStyle = scene.palette.hover;
    const width = Math.min(scene.width, scene.columns.width - scene.offsetX);
    context.fillRect(0, (scene.layout.tops[at.row] ?? 0) - scene.offsetY, width, scene.layout.height);
}

function paintSelection(context: CanvasRenderingContext2D, scene: Scene): void {
    const { selected, focused, palette, hovered } = scene;
    if (hovered && hovered.column >= 0) frame(context, box(scene, hovered.row, hovered.column), palette.foreground, 1, palette);
    if (selected && selected.row >= 0) {
        frame(context, box(scene, selected.row, selected.column), focused ? palette.focus : palette.foreground, focused ? 2 : 1, palette);
    }
}

/** A ring just outside the cell, on a line of background so that it shows on every cell colour. */
function frame(
    context: CanvasRenderingContext2D,
    [x, y, width, height]: readonly [number, number, number, number],
    color: string,
    line: number,
    palette: Palette,
): void {
    for (const [grow, thick, stroke] of [
        [0.5, line + 2, palette.background],
        [line / 2 + 0.5, line, color],
    ] as const) {
        context.beginPath();
        context.roundRect(x - grow, y - grow, width + 2 * grow, height + 2 * grow, RADIUS + grow);
        context.strokeStyle = stroke;
        context.lineWidth = thick;
        context.stroke();
    }
}
