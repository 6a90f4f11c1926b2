import { parseColor, type Rgb } from '../shared/color';
import { isHighContrast, themeColor } from '../shared/theme';
import { bandsOf, rampOf, type Ramp } from './scale';

/** What the canvas needs of the theme, read again at every theme change because a canvas does not follow CSS variables. */
export interface Palette {
    readonly background: string;
    readonly foreground: string;
    readonly muted: string;
    readonly line: string;
    readonly focus: string;
    readonly hover: string;
    readonly highContrast: boolean;
    /** Outline of every cell in high-contrast themes. */
    readonly contrastBorder: string;
    readonly ramp: Ramp;
    readonly font: string;
    readonly boldFont: string;
}

const fallbacks = { heatLow: '#5b2a6e', heatMiddle: '#2f7f8f', heatHigh: '#e9d55c' };

function heat(name: keyof typeof fallbacks): Rgb {
    const color = parseColor(themeColor(`quant-${name}`, fallbacks[name])) ?? parseColor(fallbacks[name]);
    return color ?? { r: 0, g: 0, b: 0 };
}

export function readPalette(): Palette {
    const highContrast = isHighContrast();
    const foreground = themeColor('foreground', '#cccccc');
    const stops = [heat('heatLow'), heat('heatMiddle'), heat('heatHigh')] as const;
    const ramp = highContrast ? bandsOf(...stops) : rampOf(...stops);
    const family = themeColor('font-family', 'system-ui, sans-serif');
    return {
        background: themeColor('editor-background', '#1f1f1f'),
        foreground,
        muted: themeColor('descriptionForeground', foreground),
        line: highContrast ? themeColor('contrastBorder', foreground) : themeColor('widget-border', '#80808059'),
        focus: themeColor('focusBorder', foreground),
        hover: themeColor('list-hoverBackground', highContrast ? 'transparent' : '#80808020'),
        highContrast,
        contrastBorder: themeColor('contrastBorder', foreground),
        ramp,
        font: `12px ${family}`,
        boldFont: `600 12px ${family}`,
    };
}
