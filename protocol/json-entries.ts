import { Turns } from './turns';

/** The text is JSON, and of something else. */
export class NoObject extends Error {}

/**
 * Calls `visit` for each entry of the JSON object that a text is, with the text of its value, in the order of the text; a key may come twice. Lets others
 * have their turn meanwhile, which `JSON.parse` does not: a checkpoint's index may have a hundred thousand entries. What a value says is not looked
 * at. Throws SyntaxError where an entry does not begin or end as JSON wants it, or NoObject.
 */
export async function eachEntry(text: string, visit: (key: string, value: string) => void): Promise<void> {
    let at = behindSpace(text, 0);
    if (text[at] !== '{') {
        JSON.parse(text);
        throw new NoObject();
    }
    at = behindSpace(text, at + 1);
    const turns = new Turns();
    if (text[at] !== '}') {
        for (;;) {
            if (text[at] !== '"') throw new SyntaxError('no key');
            const keyEnd = stringEnd(text, at);
            const colon = behindSpace(text, keyEnd);
            if (text[colon] !== ':') throw new SyntaxError('no colon');
            const end = await valueEnd(text, colon + 1, turns);
            visit(JSON.parse(text.slice(at, keyEnd)) as string, text.slice(colon + 1, end));
            at = end;
            if (text[at] === '}') break;
            at = behindSpace(text, at + 1);
        }
    }
    if (behindSpace(text, at + 1) < text.length) throw new SyntaxError('something behind the object');
}

/** Where the comma or the brace stands that ends a value. */
async function valueEnd(text: string, start: number, turns: Turns): Promise<number> {
    const marks = /["{}[\],]/g;
    let depth = 0;
    for (let at = start; ; ) {
        if (turns.isOver()) await turns.next();
        marks.lastIndex = at;
        const mark = marks.exec(text);
        if (!mark) throw new SyntaxError('no end');
        at = mark.index + 1;
        const [sign] = mark;
        if (sign === '"') at = stringEnd(text, mark.index);
        else if (sign === '{' || sign === '[') depth++;
        else if (depth === 0) {
            if (sign === ']') throw new SyntaxError('a bracket too many');
            return mark.index;
        } else if (sign !== ',') depth--;
    }
}

/** Behind the quote that ends a string. */
function stringEnd(text: string, start: number): number {
    for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
        let escape = quote;
        while (text[escape - 1] === '\\') escape--;
        if ((quote - escape) % 2 === 0) return quote + 1;
    }
    throw new SyntaxError('an open string');
}

function behindSpace(text: string, start: number): number {
    const space = /[ \t\r\n]*/y;
    space.lastIndex = start;
    space.exec(text);
    return space.lastIndex;
}
