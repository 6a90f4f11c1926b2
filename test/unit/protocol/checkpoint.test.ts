import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { checkpointFingerprint, isExpert, readCheckpoint } from '../../../protocol/checkpoint';
import { CheckpointError } from '../../../protocol/safetensors';
import { checkpoint, config, families, llamaShapes, temporaryFolder, write } from './checkpoint-files';

describe('the checkpoint reader', () => {
    const temporary = temporaryFolder();
    after(() => temporary.remove());
    let folder = '';
    let count = 0;
    beforeEach(() => {
        folder = path.join(temporary.folder, `model-${++count}`);
    });

    async function refusal(): Promise<CheckpointError> {
        try {
            await readCheckpoint(folder, families);
        } catch (error) {
            assert.ok(error instanceof CheckpointError, String(error));
            return error;
        }
        throw new Error('it was accepted');
    }

    /** A checkpoint in two shards, or whatever the index says. */
    function sharded(weightMap?: unknown): void {
        mkdirSync(folder);
        writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
        const names = Object.entries(llamaShapes(2));
        const halves = [names.slice(0, 4), names.slice(4)];
        const map: Record<string, string> = {};
        halves.forEach((half, index) => {
            const shard = `model-0000${index + 1}-of-00002.safetensors`;
            write(path.join(folder, shard), Object.fromEntries(half));
            for (const [name] of half) map[name] = shard;
        });
        writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap ?? map }));
    }

    it('refuses an index of too many files before it has read all of it', async () => {
        sharded();
        const names = Array.from({ length: 10_001 }, (_, number) => `"t${number}":"s${number}.safetensors"`);
        writeFileSync(path.join(folder, 'model.safetensors.index.json'), `{"weight_map":{${names.join()},and no JSON}}`);
        assert.match((await refusal()).message, /it names more than 10000 files$/);
        writeFileSync(path.join(folder, 'model.safetensors.index.json'), `{"weight_map":{${names.slice(1).join()},and no JSON}}`);
        assert.match((await refusal()).message, /it is not JSON$/);
    });

    it('lists linear layers in execution order, lm_head last', async () => {
        checkpoint(folder, {}, 12);
        const { linears, blocks, architecture, maximumTokens, dtype } = await readCheckpoint(folder, families);
        assert.deepEqual(linears.slice(0, 4).map(({ name }) => name), [
            'model.layers.0.self_attn.q_proj', 'model.layers.0.mlp.up_proj', 'model.layers.0.mlp.down_proj', 'model.layers.1.self_attn.q_proj',
        ]);
        assert.deepEqual(linears.at(-2), { name: 'model.layers.11.mlp.down_proj', block: 11, outputs: 8, inputs: 16, bytes: 256 });
        assert.deepEqual(linears.at(-1), { name: 'lm_head', block: null, outputs: 20, inputs: 8, bytes: 320 });
        assert.deepEqual([linears.length, blocks, architecture, maximumTokens, dtype], [37, 12, 'LlamaForCausalLM', 512, 'bfloat16']);
    });

    it('counts parameters and bytes', async () => {
        checkpoint(folder, {}, 1);
        const { parameters, bytes } = await readCheckpoint(folder, families);
        assert.deepEqual([parameters, bytes], [2 * 160 + 8 + 128 + 128 + 64 + 8 + 8, 2 * 664]);
    });

    it('leaves out an lm_head that shares the embedding, and knows nothing of other architectures', async () => {
        checkpoint(folder, { tie_word_embeddings: true });
        assert.ok(!(await readCheckpoint(folder, families)).linears.some(({ name }) => name === 'lm_head'));
        assert.equal((await readCheckpoint(folder, families)).tiedHead, 'lm_head');
        checkpoint(folder, { architectures: ['constructor'] });
        assert.deepEqual((await readCheckpoint(folder, families)).linears, []);
    });

    it('takes the family’s word on a shared embedding when config.json says nothing', async () => {
        checkpoint(folder);
        const tied = { LlamaForCausalLM: { ...families.LlamaForCausalLM!, tied: true } };
        assert.ok(!(await readCheckpoint(folder, tied)).linears.some(({ name }) => name === 'lm_head'));
        checkpoint(folder, { tie_word_embeddings: false });
        assert.ok((await readCheckpoint(folder, tied)).linears.some(({ name }) => name === 'lm_head'));
        assert.equal((await readCheckpoint(folder, tied)).tiedHead, null);
    });

    it('lists experts one after the other, behind the other layers of their block', async () => {
        mkdirSync(folder);
        writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, architectures: ['MoeForCausalLM'] }));
        const experts = [10, 2, 0].flatMap((number) => ['down', 'up'].map((part): [string, number[]] => [`model.layers.0.mlp.experts.${number}.${part}.weight`, [8, 8]]));
        write(path.join(folder, 'model.safetensors'), Object.fromEntries([...experts, ['model.layers.0.attn.weight', [8, 8]], ['model.layers.0.mlp.experts.2.norm.weight', [8, 8]]]));
        const moe = { blocks: 'model.layers', head: 'lm_head', tied: true, fused: [], linears: ['attn', 'mlp.experts.*.up', 'mlp.experts.*.down'] };
        const { linears } = await readCheckpoint(folder, { MoeForCausalLM: moe });
        assert.deepEqual(linears.map(({ name }) => name.slice('model.layers.0.'.length)), ['attn', ...[0, 2, 10].flatMap((number) => [`mlp.experts.${number}.up`, `mlp.experts.${number}.down`])]);
        assert.deepEqual(linears.map(isExpert), [false, true, true, true, true, true, true]);
    });

    it('reads the layers of an architecture without a family from their names', async () => {
        checkpoint(folder, { architectures: ['NewForCausalLM'], num_hidden_layers: 2, vocab_size: 20 });
        const { linears, blocks } = await readCheckpoint(folder, families);
        assert.equal(blocks, 2);
        assert.deepEqual(new Set(linears.map(({ name }) => name)), new Set([0, 1].flatMap((block) =>
            ['self_attn.q_proj', 'mlp.up_proj', 'mlp.down_proj'].map((kind) => `model.layers.${block}.${kind}`)).concat('lm_head')));
        checkpoint(folder, { architectures: ['NewForCausalLM'], num_hidden_layers: 3, vocab_size: 20 });
        assert.deepEqual((await readCheckpoint(folder, families)).linears, []);
    });

    it('says when a checkpoint is quantized', async () => {
        checkpoint(folder, { quantization_config: { quant_method: 'compressed-tensors' } });
        assert.equal((await readCheckpoint(folder, families)).quantization, 'compressed-tensors');
    });

    it('joins shards', async () => {
        sharded();
        assert.equal((await readCheckpoint(folder, families)).linears.length, 7);
    });

    it('reads the sample', async () => {
        const { linears, blocks } = await readCheckpoint(path.resolve('samples/checkpoints/tiny-llama-pydoc'), families);
        assert.deepEqual([linears.length, blocks], [36, 5]);
    });

    it('refuses a folder that is not there, a file, and a folder without weights', async () => {
        assert.equal((await refusal()).code, 'model-missing');
        writeFileSync(folder, '');
        assert.equal((await refusal()).code, 'model-missing');
        rmSync(folder);
        mkdirSync(folder);
        assert.match((await refusal()).message, /neither config\.json nor/);
        writeFileSync(path.join(folder, 'config.json'), '{}');
        assert.match((await refusal()).message, /neither model\.safetensors nor/);
    });

    it('refuses pickles by name', async () => {
        mkdirSync(folder);
        writeFileSync(path.join(folder, 'pytorch_model.bin'), '');
        const { code, message } = await refusal();
        assert.deepEqual([code, message], ['model-not-safetensors', 'pytorch_model.bin']);
    });

    it('refuses a config that is missing, no JSON or no object', async () => {
        checkpoint(folder);
        for (const text of ['{', '[]', '']) {
            writeFileSync(path.join(folder, 'config.json'), text);
            assert.match((await refusal()).message, /config\.json is broken: it is not/);
        }
        rmSync(path.join(folder, 'config.json'));
        assert.match((await refusal()).message, /has weights and no config\.json/);
    });

    it('refuses an index that names a missing shard, no shard, or the wrong one', async () => {
        sharded({ 'lm_head.weight': 'model-00003-of-00003.safetensors' });
        assert.match((await refusal()).message, /it names "model-00003-of-00003\.safetensors", which does not exist/);
        for (const map of [[], {}, { a: 1 }, 'x']) {
            writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
            assert.match((await refusal()).message, /no weight_map/);
        }
        writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { absent: 'model-00001-of-00002.safetensors' } }));
        assert.match((await refusal()).message, /the index says that it holds "absent", and it does not/);
    });

    it('reads no file outside the folder', async () => {
        write(path.join(temporary.folder, 'outside.safetensors'), { a: [1] });
        sharded();
        for (const name of ['../outside.safetensors', path.join(temporary.folder, 'outside.safetensors'), '..\\outside.safetensors', '..', 'a/../../outside.safetensors', 'C:x.safetensors', 'x\0.safetensors']) {
            writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { a: name } }));
            assert.equal((await refusal()).code, 'model-broken', name);
        }
    });

    it('follows links inside the folder and those of a Hugging Face cache, no others', async () => {
        const blobs = path.join(temporary.folder, 'cache', 'blobs');
        folder = path.join(temporary.folder, 'cache', 'snapshots', 'abc');
        mkdirSync(blobs, { recursive: true });
        checkpoint(folder);
        rmSync(path.join(folder, 'model.safetensors'));
        write(path.join(blobs, '123'), llamaShapes(1));
        symlinkSync(path.join('..', '..', 'blobs', '123'), path.join(folder, 'model.safetensors'));
        assert.equal((await readCheckpoint(folder, families)).blocks, 1);
        rmSync(path.join(folder, 'model.safetensors'));
        write(path.join(temporary.folder, 'elsewhere.safetensors'), llamaShapes(1));
        symlinkSync(path.join(temporary.folder, 'elsewhere.safetensors'), path.join(folder, 'model.safetensors'));
        assert.match((await refusal()).message, /a link to ".*elsewhere\.safetensors", outside the folder/);
    });

    it('has a fingerprint that changes with the files', async () => {
        assert.equal(await checkpointFingerprint(folder), '');
        checkpoint(folder);
        const first = await checkpointFingerprint(folder);
        assert.equal(await checkpointFingerprint(folder), first);
        utimesSync(path.join(folder, 'config.json'), 1, 1);
        assert.notEqual(await checkpointFingerprint(folder), first);
    });
});
