import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Facts } from '../../../server/facts';
import { Workspace } from '../../../server/workspace';
import { recipe, schema } from './fixture';

/** A recipe of the corpus, and what the disk says of it. */
export interface Original {
    readonly file: string;
    readonly text: string;
    readonly facts: Facts;
}

export async function corpus(): Promise<Original[]> {
    const folder = path.resolve('test/corpus');
    const files = readdirSync(folder).filter((file) => file.endsWith('.quant.yaml')).sort();
    return Promise.all(files.map(async (file) => {
        const uri = pathToFileURL(path.join(folder, file)).href;
        const text = readFileSync(path.join(folder, file), 'utf8');
        const workspace = new Workspace(schema.architectures, () => undefined);
        await workspace.refresh(uri, recipe(text));
        return { file, text, facts: workspace.factsFor(uri, recipe(text)) };
    }));
}

/** A recipe after one edit, and where the cursor is then. */
export interface Edited extends Original {
    readonly offset: number;
}

/** Characters that mean something in YAML or in a recipe, and some that mean nothing anywhere. */
const CHARACTERS = [...'\n\r\t "\'[]{}:,-?&*!|>%@`#~.0123abgnxW_/\\\u0000\u0085\u2028\uFEFF', '𝕢', 'é', '\ud800'];

/** As many recipes as asked, each with one character more, less or changed, or cut off somewhere; the same ones for the same seed. */
export function* edits(originals: readonly Original[], count: number, seed: number): Generator<Edited> {
    const random = generator(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let done = 0; done < count; done++) {
        const original = originals[below(originals.length)]!;
        const { text } = original;
        const at = below(text.length + 1);
        const character = CHARACTERS[below(CHARACTERS.length)]!;
        const [changed, offset] = ([
            [text.slice(0, at) + character + text.slice(at), at + character.length],
            [text.slice(0, at) + text.slice(at + 1), at],
            [text.slice(0, at) + character + text.slice(at + 1), at + character.length],
            [text.slice(0, at), at],
        ] as const)[below(4)]!;
        yield { ...original, text: changed, offset };
    }
}

/** Numbers from 0 up to 1 (a linear congruential generator with the constants of Numerical Recipes). */
function generator(seed: number): () => number {
    let state = seed >>> 0;
    return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
