import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CheckpointHeader, Linear } from '../../../protocol/checkpoint';
import type { Facts } from '../../../server/facts';
import type { Finding } from '../../../server/finding';
import { parseRecipe, type Recipe } from '../../../server/recipe';
import { RecipeSchema, type JsonSchema } from '../../../server/schema';
import { translated } from '../../../server/schema-texts';

/** The generated schema: what a person gets. */
export const schemaDocument = JSON.parse(readFileSync(path.resolve('schemas/recipe.schema.json'), 'utf8')) as JsonSchema;
export const schema = new RecipeSchema(translated(schemaDocument));

export const sample = readFileSync(path.resolve('samples/mixed.quant.yaml'), 'utf8');

export function recipe(text: string): Recipe {
    return parseRecipe(text, schema);
}

/** `message: text` of the other places of the recipe that explain a finding. */
export function relatedTexts(text: string, { related = [] }: Finding): string[] {
    return related.flatMap((one) => ('span' in one ? [`${one.message}: ${text.slice(one.span.start, one.span.end)}`] : []));
}

/** A text with `|` at the cursor. */
export function cursor(marked: string): { readonly recipe: Recipe; readonly offset: number } {
    const offset = marked.indexOf('|');
    if (offset < 0 || marked.includes('|', offset + 1)) throw new Error('exactly one | marks the cursor');
    return { recipe: recipe(marked.replace('|', '')), offset };
}

const KINDS: readonly (readonly [string, number, number])[] = [
    ['self_attn.q_proj', 64, 64], ['self_attn.k_proj', 32, 64], ['self_attn.v_proj', 32, 64], ['self_attn.o_proj', 64, 64],
    ['mlp.gate_proj', 160, 64], ['mlp.up_proj', 160, 64], ['mlp.down_proj', 64, 160],
];

/** A Llama of three blocks; the inputs of down_proj are 160 wide, all others 64. */
export function header(changes: Partial<CheckpointHeader> = {}): CheckpointHeader {
    const linears: Linear[] = [0, 1, 2].flatMap((block) =>
        KINDS.map(([kind, outputs, inputs]) => ({ name: `model.layers.${block}.${kind}`, block, outputs, inputs, bytes: 2 * outputs * inputs })),
    );
    return {
        folder: '/models/tiny', architecture: 'LlamaForCausalLM', dtype: 'bfloat16', parameters: 1_234_567, bytes: 2_469_134, blocks: 3,
        maximumTokens: 512, quantization: null, tiedHead: null, linears: [...linears, { name: 'lm_head', block: null, outputs: 100, inputs: 64, bytes: 12_800 }], ...changes,
    };
}

/** The model is read, the texts are there, the output is free. */
export function facts(changes: Partial<Facts> = {}): Facts {
    return {
        checkpoints: new Map([['tiny', { state: 'read', header: header() }]]),
        files: new Map([
            ['tiny', { kind: 'folder', realPath: '/models/tiny', text: undefined }],
            ['c.txt', { kind: 'file', realPath: '/models/c.txt', text: 'some' }],
            ['out', { kind: 'missing', realPath: '/models/out', text: undefined }],
        ]),
        result: undefined,
        running: undefined,
        ...changes,
    };
}

/** A whole recipe about that model; `quantize` in block style, two spaces deep. */
export function whole(quantize: string, more = ''): string {
    return `model: tiny\ncalibration: { data: c.txt }\n${more}quantize:\n${quantize}\noutput: out\n`;
}
