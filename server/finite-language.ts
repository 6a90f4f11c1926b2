/**
 * Lists every text that a simple regular expression accepts: literals, groups, `|`, `?`, `^`, `$`. That is all the engine's short forms use, and it
 * turns a pattern into completions and spelling suggestions. undefined: another construct, or more than `limit` texts.
 */
export function finiteLanguage(pattern: string, limit: number): string[] | undefined {
    try {
        const reader = new Reader(pattern.replace(/^\^/, '').replace(/\$$/, ''), limit);
        const texts = reader.alternatives();
        return reader.atEnd ? [...new Set(texts)] : undefined;
    } catch (error) {
        if (error instanceof NotFinite) return undefined;
        throw error;
    }
}

class NotFinite extends Error {}

class Reader {
    private position = 0;

    constructor(
        private readonly pattern: string,
        private readonly limit: number,
    ) {}

    get atEnd(): boolean {
        return this.position >= this.pattern.length;
    }

    alternatives(): string[] {
        const texts = [...this.sequence()];
        while (this.pattern[this.position] === '|') {
            this.position++;
            texts.push(...this.sequence());
        }
        return texts;
    }

    private sequence(): string[] {
        let texts = [''];
        while (!this.atEnd && !'|)'.includes(this.pattern[this.position]!)) {
            let next = this.atom();
            if (this.pattern[this.position] === '?') {
                this.position++;
                next = ['', ...next];
            }
            if (texts.length * next.length > this.limit) throw new NotFinite();
            texts = texts.flatMap((text) => next.map((ending) => text + ending));
        }
        return texts;
    }

    private atom(): string[] {
        const character = this.pattern[this.position++]!;
        if (character === '(') {
            if (this.pattern.startsWith('?:', this.position)) this.position += 2;
            const texts = this.alternatives();
            if (this.pattern[this.position++] !== ')') throw new NotFinite();
            return texts;
        }
        if (character === '\\') {
            const escaped = this.pattern[this.position++];
            if (escaped === undefined || /[A-Za-z0-9]/.test(escaped)) throw new NotFinite();
            return [escaped];
        }
        if ('.[]*+?{}^$'.includes(character)) throw new NotFinite();
        return [character];
    }
}
