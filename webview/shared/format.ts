import { BITS_DECIMALS } from '../../protocol/decimals';

/**
 * Numbers by locale, a tie rounded to the even digit as on the engine's command line; units stay as they are. Formatters are made once: making
 * one costs more than using it a thousand times.
 */
export class Formats {
    readonly #locale: string;
    readonly #fixed = new Map<string, Intl.NumberFormat>();
    readonly #percent = new Map<number, Intl.NumberFormat>();
    readonly #integer: Intl.NumberFormat;
    readonly #time: Intl.DateTimeFormat;

    constructor(locale: string) {
        this.#locale = supported(locale);
        this.#integer = new Intl.NumberFormat(this.#locale, { maximumFractionDigits: 0 });
        this.#time = new Intl.DateTimeFormat(this.#locale, { dateStyle: 'medium', timeStyle: 'short' });
    }

    fixed(value: number, digits: number, fewest = digits): string {
        const key = `${String(fewest)}…${String(digits)}`;
        let format = this.#fixed.get(key);
        if (!format) {
            format = new Intl.NumberFormat(this.#locale, { minimumFractionDigits: fewest, maximumFractionDigits: digits, roundingMode: 'halfEven' });
            this.#fixed.set(key, format);
        }
        return format.format(value);
    }

    bits(value: number): string {
        return this.fixed(value, BITS_DECIMALS, 0);
    }

    integer(value: number): string {
        return this.#integer.format(value);
    }

    percent(share: number, digits = 1): string {
        let format = this.#percent.get(digits);
        if (!format) {
            format = new Intl.NumberFormat(this.#locale, {
                style: 'percent',
                minimumFractionDigits: digits,
                maximumFractionDigits: digits,
                roundingMode: 'halfEven',
            });
            this.#percent.set(digits, format);
        }
        return format.format(share);
    }

    /** Three significant digits, in units of 1000 bytes as file managers and model hubs count. */
    bytes(count: number): string {
        const units = ['B', 'kB', 'MB', 'GB', 'TB'];
        const power = count > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(count) / 3)) : 0;
        const scaled = count / 1000 ** power;
        const digits = power === 0 ? 0 : scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
        return `${this.fixed(scaled, digits)} ${units[power] ?? 'B'}`;
    }

    /** `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
    duration(seconds: number): string {
        if (seconds < 60) return `${this.fixed(seconds, seconds < 10 ? 1 : 0)} s`;
        const whole = Math.round(seconds);
        if (whole < 3600) return `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
        const hours = Math.floor(whole / 3600);
        if (hours < 48) return `${String(hours)} h ${String(Math.floor((whole % 3600) / 60))} min`;
        return `${this.integer(Math.floor(hours / 24))} d ${String(hours % 24)} h`;
    }

    /** Local date and time of an ISO 8601 instant; the text itself when it is none. */
    time(iso: string): string {
        const date = new Date(iso);
        return Number.isNaN(date.getTime()) ? iso : this.#time.format(date);
    }
}

function supported(locale: string): string {
    try {
        return Intl.NumberFormat.supportedLocalesOf(locale)[0] ?? 'en';
    } catch {
        // VS Code's language packs may name a locale that is not valid BCP 47.
        return 'en';
    }
}
