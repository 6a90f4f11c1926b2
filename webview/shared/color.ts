/** Colours as linear-light RGB in 0…1, and the little colour science that a heat map needs. */
export interface Rgb {
    readonly r: number;
    readonly g: number;
    readonly b: number;
}

interface Lab {
    readonly l: number;
    readonly a: number;
    readonly b: number;
}

const toLinear = (channel: number): number => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4);
const toGamma = (channel: number): number => (channel <= 0.0031308 ? channel * 12.92 : 1.055 * channel ** (1 / 2.4) - 0.055);
const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** Reads `#rgb`, `#rrggbb`, `#rrggbbaa` and `rgb(…)`/`rgba(…)`, the spellings in which VS Code hands over colours; alpha is dropped. */
export function parseColor(text: string): Rgb | null {
    const trimmed = text.trim();
    const hex = /^#([0-9a-f]{3,8})$/i.exec(trimmed)?.[1];
    if (hex !== undefined) return parseHex(hex);
    const channels = /^rgba?\(([^)]+)\)$/i.exec(trimmed)?.[1]?.split(/[\s,/]+/).filter(Boolean).slice(0, 3).map(Number);
    if (channels?.length !== 3 || channels.some(Number.isNaN)) return null;
    return fromBytes(channels[0] ?? 0, channels[1] ?? 0, channels[2] ?? 0);
}

function parseHex(hex: string): Rgb | null {
    if (hex.length === 5 || hex.length === 7) return null;
    const full = hex.length <= 4 ? [...hex].map((digit) => digit + digit).join('') : hex;
    const byte = (at: number): number => Number.parseInt(full.slice(at, at + 2), 16);
    return fromBytes(byte(0), byte(2), byte(4));
}

function fromBytes(r: number, g: number, b: number): Rgb {
    return { r: toLinear(r / 255), g: toLinear(g / 255), b: toLinear(b / 255) };
}

export function toHex(color: Rgb): string {
    const byte = (channel: number): string => Math.round(toGamma(clamp(channel)) * 255).toString(16).padStart(2, '0');
    return `#${byte(color.r)}${byte(color.g)}${byte(color.b)}`;
}

/** Björn Ottosson's OKLab (2020): steps of equal size look equally large, which RGB steps do not. */
export function toOklab({ r, g, b }: Rgb): Lab {
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return {
        l: 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
        a: 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
        b: 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
    };
}

export function fromOklab({ l, a, b }: Lab): Rgb {
    const long = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const medium = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const short = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
    return {
        r: clamp(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        g: clamp(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        b: clamp(-0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short),
    };
}

/** The colour a share `t` of the way from `from` to `to`, in OKLab. */
export function mix(from: Rgb, to: Rgb, t: number): Rgb {
    const start = toOklab(from);
    const end = toOklab(to);
    const between = (x: number, y: number): number => x + (y - x) * clamp(t);
    return fromOklab({ l: between(start.l, end.l), a: between(start.a, end.a), b: between(start.b, end.b) });
}

/** The colour of this hue and strength that has a luminance: its lightness is searched for. */
export function withLuminance(color: Rgb, wanted: number): Rgb {
    const { a, b } = toOklab(color);
    let [low, high] = [0, 1];
    for (let step = 0; step < 20; step++) {
        const l = (low + high) / 2;
        if (luminance(fromOklab({ l, a, b })) < wanted) low = l;
        else high = l;
    }
    return fromOklab({ l: (low + high) / 2, a, b });
}

/** WCAG 2 relative luminance. */
export function luminance({ r, g, b }: Rgb): number {
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG 2 contrast ratio, 1…21. */
export function contrast(one: Rgb, other: Rgb): number {
    const [dark, light] = [luminance(one), luminance(other)].sort((x, y) => x - y) as [number, number];
    return (light + 0.05) / (dark + 0.05);
}

/** Black or white, whichever reads better; at least 4.58 : 1 on every colour, because √21 is. */
export function inkOn(background: Rgb): '#000000' | '#ffffff' {
    return luminance(background) + 0.05 > Math.sqrt(1.05 * 0.05) ? '#000000' : '#ffffff';
}
