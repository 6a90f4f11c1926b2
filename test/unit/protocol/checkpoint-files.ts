import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Family } from '../../../protocol/checkpoint';

export interface Entry {
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data_offsets: readonly number[];
}

/** A safetensors file: length, header text, data. */
export function safetensors(header: unknown, dataBytes: number, length?: bigint): Buffer {
    const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(length ?? BigInt(text.length));
    return Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]);
}

/** A header for bfloat16 tensors that lie one behind the other, and the number of its data bytes. */
export function packed(shapes: Readonly<Record<string, readonly number[]>>): { readonly header: Record<string, Entry>; readonly bytes: number } {
    let bytes = 0;
    const header: Record<string, Entry> = {};
    for (const [name, shape] of Object.entries(shapes)) {
        const size = 2 * shape.reduce((product, count) => product * count, 1);
        header[name] = { dtype: 'BF16', shape, data_offsets: [bytes, bytes + size] };
        bytes += size;
    }
    return { header, bytes };
}

export function write(file: string, shapes: Readonly<Record<string, readonly number[]>>): void {
    const { header, bytes } = packed(shapes);
    writeFileSync(file, safetensors({ __metadata__: { format: 'pt' }, ...header }, bytes));
}

export const families: Readonly<Record<string, Family>> = {
    LlamaForCausalLM: {
        blocks: 'model.layers', head: 'lm_head', tied: false, fused: [],
        linears: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'],
    },
};

export const config = { architectures: ['LlamaForCausalLM'], max_position_embeddings: 512, dtype: 'bfloat16' };

/** Tensors of a tiny Llama, in an order unlike that of execution. */
export function llamaShapes(blocks: number): Record<string, readonly number[]> {
    const shapes: Record<string, readonly number[]> = { 'lm_head.weight': [20, 8], 'model.embed_tokens.weight': [20, 8], 'model.norm.weight': [8] };
    for (let block = blocks - 1; block >= 0; block--) {
        shapes[`model.layers.${block}.mlp.down_proj.weight`] = [8, 16];
        shapes[`model.layers.${block}.mlp.up_proj.weight`] = [16, 8];
        shapes[`model.layers.${block}.self_attn.q_proj.weight`] = [8, 8];
        shapes[`model.layers.${block}.self_attn.q_proj.bias`] = [8];
        shapes[`model.layers.${block}.input_layernorm.weight`] = [8];
    }
    return shapes;
}

export function temporaryFolder(): { readonly folder: string; readonly remove: () => void } {
    const folder = mkdtempSync(path.join(tmpdir(), 'qw-'));
    return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A checkpoint folder of one file. */
export function checkpoint(folder: string, changes: object = {}, blocks = 2): string {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, ...changes }));
    write(path.join(folder, 'model.safetensors'), llamaShapes(blocks));
    return folder;
}
