import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';

const [HIDDEN, INNER, WORDS] = [1024, 2816, 32_000];

/** Kinds of a Llama block's layers, with outputs and inputs. */
const LINEARS: readonly (readonly [string, number, number])[] = [
    ...['q', 'k', 'v', 'o'].map((name) => [`self_attn.${name}_proj`, HIDDEN, HIDDEN] as const),
    ['mlp.gate_proj', INNER, HIDDEN], ['mlp.up_proj', INNER, HIDDEN], ['mlp.down_proj', HIDDEN, INNER],
];

type Tensor = readonly [name: string, shape: readonly number[]];

/** A Llama of many blocks in many files, of which only the headers are written: what lies behind them takes no room on the disk. Answers its linear layers. */
export function writeCheckpoint(folder: string, blocks: number, shards: number): number {
    mkdirSync(folder, { recursive: true });
    const inside = Array.from({ length: blocks }, (_, block): Tensor[] => [
        ...LINEARS.map(([kind, outputs, inputs]): Tensor => [`model.layers.${block}.${kind}.weight`, [outputs, inputs]]),
        ...['input_layernorm', 'post_attention_layernorm'].map((norm): Tensor => [`model.layers.${block}.${norm}.weight`, [HIDDEN]]),
    ]).flat();
    const tensors: Tensor[] = [['model.embed_tokens.weight', [WORDS, HIDDEN]], ...inside, ['model.norm.weight', [HIDDEN]], ['lm_head.weight', [WORDS, HIDDEN]]];
    const map: Record<string, string> = {};
    for (let shard = 0; shard < shards; shard++) {
        const name = `model-${String(shard + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`;
        const own = tensors.slice(Math.floor((shard * tensors.length) / shards), Math.floor(((shard + 1) * tensors.length) / shards));
        writeShard(path.join(folder, name), own);
        for (const [tensor] of own) map[tensor] = name;
    }
    const config = {
        architectures: ['LlamaForCausalLM'], model_type: 'llama', dtype: 'bfloat16', hidden_size: HIDDEN, intermediate_size: INNER, num_hidden_layers: blocks,
        num_attention_heads: 16, num_key_value_heads: 16, vocab_size: WORDS, max_position_embeddings: 4096, tie_word_embeddings: false,
    };
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
    writeFileSync(path.join(folder, 'tokenizer_config.json'), '{}');
    writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }));
    return blocks * LINEARS.length + 1;
}

function writeShard(file: string, tensors: readonly Tensor[]): void {
    let end = 0;
    const entries = tensors.map(([name, shape]) => {
        const begin = end;
        end += 2 * shape.reduce((product, size) => product * size, 1);
        return [name, { dtype: 'BF16', shape, data_offsets: [begin, end] }] as const;
    });
    const json = JSON.stringify(Object.fromEntries(entries));
    const header = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const handle = openSync(file, 'w');
    writeSync(handle, Buffer.concat([length, header]));
    ftruncateSync(handle, 8 + header.length + end);
    closeSync(handle);
}

/** A recipe of so many lines: rules about single layers, sets of blocks and kinds, candidates and a budget. */
export function longRecipe(lines: number, blocks: number): string {
    const head = [
        'model: checkpoint', 'calibration:', '  data: texts.txt', '  samples: 8', '  sequence_length: 64', 'candidates:', '  - gptq-w4a16', '  - awq-w4a16', '  - rtn-w8a16', 'quantize:',
        '  default: none', '  budget: { bits_per_weight: 5 }', '  rules:',
    ];
    const rules: string[] = [];
    for (let rule = 0; head.length + rules.length + 4 < lines; rule++) {
        const block = (rule * 7) % blocks;
        const [kind] = LINEARS[rule % LINEARS.length]!;
        const pattern = rule % 3 === 0 ? `"model.layers.${block}.${kind}"` : rule % 3 === 1 ? `["*.${block}.${kind}", "*.${(block + 1) % blocks}.mlp.*"]` : `"*.layers.${block}[0-4].${kind.slice(0, -4)}*"`;
        rules.push(`    # ${rule}: ${kind} of block ${block}`, `    - layers: ${pattern}`, '      use:', `        { method: gptq, scheme: W${rule % 2 ? 4 : 8}A16, group_size: 64 }`);
    }
    const rest = Array.from({ length: lines - head.length - rules.length - 1 }, () => '    # the last rules');
    return [...head, ...rules, ...rest, 'output: out', ''].join('\n');
}
