/**
 * Layer patterns over module names, with the meaning that the engine gives them (`engine/quant_engine/patterns.py`):
 * `*` any characters (dots too), `?` one character, `[0-3]` one of a set, `[!0-3]` one that is not in it.
 *
 * Matched by hand and not through a regular expression: a recipe is somebody else's text, and `*a*a*a*…` must not take exponential time.
 */
export type LayerPattern = (name: string) => boolean;

type Token = { readonly kind: 'many' } | { readonly kind: 'one'; readonly accepts: (character: string) => boolean };

export function layerPattern(pattern: string): LayerPattern {
    // Half of a character that takes two code units must not match.
    if (!/[?[\]\ud800-\udfff]/.test(pattern)) return literalPattern(pattern.split('*'));
    const tokens = tokenize(pattern);
    if (tokens === undefined) return () => false;
    // What stands before the first sign and behind the last one rules out most names.
    const [prefix] = /^[^*?[\]]*/.exec(pattern)!;
    const suffix = pattern.slice(1 + Math.max(...['*', '?', '[', ']'].map((sign) => pattern.lastIndexOf(sign))));
    return (name) => name.startsWith(prefix) && name.endsWith(suffix) && matchTokens(tokens, name);
}

/** Texts with a `*` between each two of them: the usual pattern, tried on every layer of a model at each keystroke, at the speed of a search for text. */
function literalPattern(texts: readonly string[]): LayerPattern {
    const first = texts[0]!;
    if (texts.length === 1) return (name) => name === first;
    const last = texts.at(-1)!;
    const between = texts.slice(1, -1);
    return (name) => {
        if (!name.startsWith(first) || !name.endsWith(last)) return false;
        let position = first.length;
        for (const text of between) {
            const found = name.indexOf(text, position);
            if (found < 0) return false;
            position = found + text.length;
        }
        return position + last.length <= name.length;
    };
}

/** A predicate: whether any of the patterns matches. */
export function anyLayerPattern(patterns: readonly string[]): LayerPattern {
    const compiled = patterns.map(layerPattern);
    return (name) => compiled.some((matches) => matches(name));
}

/** undefined: a set that no regular expression would accept, such as `[z-a]`; it matches nothing. */
function tokenize(pattern: string): Token[] | undefined {
    const tokens: Token[] = [];
    for (let position = 0; position < pattern.length; ) {
        const character = String.fromCodePoint(pattern.codePointAt(position) ?? 0);
        const closing = character === '[' ? pattern.indexOf(']', position + 2) : -1;
        if (character === '*') {
            if (tokens.at(-1)?.kind !== 'many') tokens.push({ kind: 'many' });
        } else if (character === '?') {
            tokens.push({ kind: 'one', accepts: () => true });
        } else if (closing > 0) {
            const accepts = characterSet(pattern.slice(position + 1, closing));
            if (accepts === undefined) return undefined;
            tokens.push({ kind: 'one', accepts });
            position = closing;
        } else {
            tokens.push({ kind: 'one', accepts: (other) => other === character });
        }
        position += character.length;
    }
    return tokens;
}

function characterSet(members: string): ((character: string) => boolean) | undefined {
    const negated = members.startsWith('!') || members.startsWith('^');
    const characters = [...(negated ? members.slice(1) : members)];
    const ranges: [string, string][] = [];
    for (let index = 0; index < characters.length; index++) {
        const low = characters[index]!;
        const isRange = characters[index + 1] === '-' && index + 2 < characters.length;
        const high = isRange ? characters[index + 2]! : low;
        if (low > high) return undefined;
        ranges.push([low, high]);
        if (isRange) index += 2;
    }
    return (character) => ranges.some(([low, high]) => low <= character && character <= high) !== negated;
}

/** A whole character, also where it takes two code units. */
function characterAt(text: string, position: number): string {
    const unit = text.charCodeAt(position);
    return unit >= 0xd800 && unit < 0xdc00 ? text.slice(position, position + 2) : text[position]!;
}

/** Greedy matching that returns to the last `*` only: O(tokens × characters). */
function matchTokens(tokens: readonly Token[], name: string): boolean {
    let token = 0;
    let position = 0;
    let star = -1;
    let starPosition = 0;
    while (position < name.length) {
        const current = tokens[token];
        const character = characterAt(name, position);
        if (current?.kind === 'many') {
            star = token++;
            if (token === tokens.length) return true;
            starPosition = position;
        } else if (current?.accepts(character)) {
            token++;
            position += character.length;
        } else if (star >= 0) {
            token = star + 1;
            starPosition += characterAt(name, starPosition).length;
            position = starPosition;
        } else {
            return false;
        }
    }
    while (tokens[token]?.kind === 'many') token++;
    return token === tokens.length;
}
