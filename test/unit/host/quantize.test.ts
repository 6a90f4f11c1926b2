import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { readCheckpoint, type CheckpointHeader } from '../../../protocol/checkpoint';
import type { SchemeFormat } from '../../../protocol/formats';
import type { CheckReport } from '../../../protocol/generated/protocol';
import { root, venvPython } from '../../../scripts/lib/paths.mjs';
import { formatBytes } from '../../../src/base/text';
import { estimate, fittingSuffix, offersFor, withSuffix } from '../../../src/checkpoints/quantize/estimate';
import { freeRecipePath, isWithin, placeRecipe } from '../../../src/checkpoints/quantize/placing';
import { recipeText, type RecipeChoices } from '../../../src/checkpoints/quantize/recipeText';
import { grouped, readSchemaFacts, safestFirst, sensibleCandidates, sensibleDefault, type MethodChoice } from '../../../src/checkpoints/quantize/schemaChoices';
import { checkpointFolders, concernsRecognition, saysQuantized } from '../../../src/checkpoints/recognise';
import { topLevels } from '../../../src/checkpoints/topLevels';
import { temporaryFolder } from './helpers/runs';

const schema = readFileSync(path.join(root, 'schemas', 'recipe.schema.json'), 'utf8');
const sample = path.join(root, 'samples', 'checkpoints', 'tiny-llama-pydoc');

describe('recognising checkpoints', () => {
    it('needs a config.json and weights in the same folder', () => {
        const files = [
            '/w/a/config.json', '/w/a/model.safetensors', '/w/b/config.json', '/w/c/model-00001-of-00002.safetensors', '/w/d/config.json', '/w/d/pytorch_model-00001-of-00003.bin',
            '/w/e/config.json', '/w/e/model.safetensors.index.json', '/w/f/config.json', '/w/f/q4.gguf', '/w/g/config.json', '/w/g/sub/model.safetensors', '/w/h/config.json', '/w/h/other.bin',
        ];
        assert.deepEqual(checkpointFolders(files), ['/w/a', '/w/d', '/w/e', '/w/f']);
        assert.deepEqual(checkpointFolders([]), []);
    });

    it('tells outputs of runs from checkpoints to start from', () => {
        const configs = ['{"quantization_config": {"quant_method": "compressed-tensors"}}', '{"quantization_config": null}', '{"architectures": []}', 'null', '{"half', '[]'];
        assert.deepEqual(configs.map(saysQuantized), [true, false, false, false, false, false]);
    });

    it('knows which file names can change the answer', () => {
        assert.deepEqual(['config.json', 'x.safetensors', 'pytorch_model.bin', 'tokenizer.json', 'README.md'].map(concernsRecognition), [true, true, true, false, false]);
    });
});

describe('the first look at a workspace', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);
    const list = async (where: string): Promise<{ name: string; isFolder: boolean }[]> =>
        (await readdir(where, { withFileTypes: true })).map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
    const look = async (root: string): Promise<string[]> => {
        const found = await topLevels(root, list, (place, name) => path.join(place, name));
        return checkpointFolders(found.flatMap(({ folder: place, files }) => files.map((name) => path.join(place, name)))).map((place) => path.relative(root, place));
    };

    it('finds checkpoints three folders deep, and leaves deeper ones and crowded folders to the search', async () => {
        for (const place of ['', 'a', 'models/owner/name', 'a/b/c/d', 'node_modules/x', '.cache/x']) {
            mkdirSync(path.join(folder, 'w', place), { recursive: true });
            for (const name of ['config.json', 'model.safetensors']) writeFileSync(path.join(folder, 'w', place, name), '');
        }
        assert.deepEqual(await look(path.join(folder, 'w')), ['', 'a', path.join('models', 'owner', 'name')]);
    });

    it('lists a bounded number of folders, and goes on where one cannot be listed', async () => {
        let listed = 0;
        const endless = (where: string): Promise<{ name: string; isFolder: boolean }[]> => {
            listed++;
            if (where.endsWith('/7')) return Promise.reject(new Error('no access'));
            return Promise.resolve(Array.from({ length: 100 }, (_, index) => ({ name: String(index), isFolder: true })));
        };
        const found = await topLevels<string>('/w', endless, (place, name) => `${place}/${name}`);
        assert.equal(listed, 400);
        assert.equal(found.length, 400);
        assert.deepEqual(found.find(({ folder: place }) => place === '/w/7')?.files, []);
    });

    it('has nothing to say of a folder that does not exist', async () => assert.deepEqual(await look(path.join(folder, 'nothing')), []));
});

const symmetric: SchemeFormat = {
    num_bits: 4, symmetric: true, group_size: 128, scale_bits: null, divides: 128, regroupable: true, block: null, per_tensor: false, inputs: null,
    outputs: ['compressed-tensors', 'gptq', 'gptq_v2'],
    calibrated_inputs: false,
};

describe('the choices that the schema offers', () => {
    const { choices } = readSchemaFacts(schema);

    it('are all methods and schemes, with titles and formats', () => {
        const found = choices.find(({ label }) => label === 'gptq-w4a16');
        assert.deepEqual(found?.format, symmetric);
        assert.deepEqual(choices.find(({ label }) => label === 'fp8_block')?.format?.block, [128, 128]);
        assert.equal(found?.method, 'gptq');
        assert.equal(choices.find(({ method }) => method === 'rtn')?.title, 'Round to nearest');
        assert.ok(choices.every(({ format, description, title, about }) => format && description && title && about && !about.includes('**')));
    });

    it('are ordered by method and then from the safest to the smallest', () => {
        const labels = safestFirst(choices).map(({ label }) => label);
        assert.deepEqual(labels.slice(0, 2), ['gptq-w8a16', 'gptq-w8a16_asym']);
        assert.deepEqual([...labels].sort(), choices.map(({ label }) => label).sort());
        for (const method of ['gptq', 'awq', 'hqq', 'rtn']) {
            const formats = safestFirst(choices).flatMap((choice) => (choice.method === method && choice.format ? [choice.format] : []));
            const kept = formats.filter(({ inputs }) => inputs === null).map(({ num_bits: bits }) => bits);
            assert.deepEqual(kept, kept.toSorted((a, b) => b - a));
            assert.deepEqual(formats.slice(0, kept.length).map(({ inputs }) => inputs), kept.map(() => null));
        }
    });

    it('stand together by method', () => {
        const titles = safestFirst(choices).map(({ title }) => title);
        assert.deepEqual(titles.filter((title, index) => title !== titles[index - 1]), ['GPTQ', 'AWQ', 'SmoothQuant', 'FP8', 'HQQ', 'Round to nearest']);
    });

    it('are listed with the recommended ones first, then the others by method, each once', () => {
        const groups = grouped(safestFirst(choices));
        assert.deepEqual(groups.map(({ title }) => title), [undefined, 'GPTQ', 'AWQ', 'SmoothQuant', 'FP8', 'HQQ', 'Round to nearest']);
        assert.deepEqual(groups[0]!.choices, sensibleCandidates(safestFirst(choices)));
        const listed = groups.flatMap(({ choices: group }) => group.map(({ label }) => label));
        assert.deepEqual(listed.toSorted(), choices.map(({ label }) => label).toSorted());
    });

    it('begin with every calibrated method and the baseline at four and three bits', () => {
        const sensible = sensibleCandidates(safestFirst(choices)).map(({ label }) => label);
        assert.deepEqual(sensible, ['gptq-w4a16', 'awq-w4a16', 'rtn-w4a16', 'gptq-w3a16', 'awq-w3a16', 'rtn-w3a16']);
        assert.equal(sensibleDefault(choices)?.label, 'gptq-w4a16');
        const named = (...labels: string[]): MethodChoice[] => choices.filter(({ label }) => labels.includes(label));
        assert.equal(sensibleDefault(named('gptq-nvfp4a16', 'gptq-w4a8', 'fp8', 'rtn-w4a16'))?.label, 'rtn-w4a16');
        assert.equal(sensibleDefault(named('gptq-w8a8', 'rtn-w8a16'))?.label, 'rtn-w8a16');
        const chosen = choices.filter(({ label }) => sensible.includes(label));
        assert.equal(sensibleDefault(chosen)?.label, 'gptq-w4a16');
        assert.equal(sensibleDefault(chosen.filter(({ method }) => method === 'rtn'))?.label, 'rtn-w4a16');
        assert.equal(sensibleDefault([]), undefined);
    });
});

describe('estimates', () => {
    const layer = (block: number | null, outputs: number, inputs: number): CheckpointHeader['linears'][number] => ({ name: 'x', block, outputs, inputs, bytes: 2 * outputs * inputs });
    /** 1,000 parameters outside the layers, all in two bytes. */
    const header = (...linears: CheckpointHeader['linears'][number][]): CheckpointHeader => {
        const parameters = 1000 + linears.reduce((sum, { outputs, inputs }) => sum + outputs * inputs, 0);
        return { folder: '/m', architecture: 'A', dtype: 'bfloat16', parameters, bytes: 2 * parameters, blocks: 1, maximumTokens: 512, quantization: null, tiedHead: null, linears };
    };
    it('count codes, scales and zero points', () => {
        const model = header(layer(0, 64, 256));
        assert.equal(estimate(symmetric, model).bitsPerWeight, 4 + 16 / 128);
        assert.equal(estimate({ ...symmetric, symmetric: false }, model).bitsPerWeight, 4 + 20 / 128);
        assert.equal(estimate({ ...symmetric, group_size: null }, model).bitsPerWeight, 4 + 16 / 256);
        assert.equal(estimate(symmetric, model).bytes, 2000 + (64 * 256 * 4.125) / 8);
    });

    it('know scales of blocks and of whole matrices', () => {
        const model = header(layer(0, 200, 256));
        assert.equal(estimate({ ...symmetric, num_bits: 8, group_size: null, block: [128, 128] }, model).bitsPerWeight, 8 + (16 * 4) / (200 * 256));
        assert.equal(estimate({ ...symmetric, num_bits: 8, group_size: null, per_tensor: true }, model).bitsPerWeight, 8 + 16 / (200 * 256));
        assert.equal(estimate({ ...symmetric, group_size: 16, scale_bits: 8 }, model).bitsPerWeight, 4.5 + 32 / (200 * 256));
        assert.equal(estimate({ ...symmetric, group_size: 32, scale_bits: 8 }, model).bitsPerWeight, 4.25);
    });

    it('leave layers outside the blocks alone', () => {
        assert.equal(estimate(symmetric, header(layer(0, 64, 256), layer(null, 100, 256))).bytes, 2000 + 2 * 25_600 + (64 * 256 * 4.125) / 8);
    });

    it('choose a group size that divides every layer', () => {
        assert.equal(fittingSuffix(symmetric, header(layer(0, 8, 256), layer(0, 8, 640)), [32, 64, 128, 256]), '');
        assert.equal(fittingSuffix(symmetric, header(layer(0, 8, 256), layer(0, 8, 192)), [32, 64, 128, 256]), '-g64');
        assert.equal(fittingSuffix(symmetric, header(layer(0, 8, 96)), [32, 64, 128, 256]), '-g32');
        assert.equal(fittingSuffix(symmetric, header(layer(0, 8, 100)), [32, 64, 128, 256]), '-channel');
        assert.equal(fittingSuffix({ ...symmetric, group_size: null, divides: null }, header(layer(0, 8, 100)), [32, 64, 128, 256]), '');
        assert.equal(fittingSuffix(symmetric, header(layer(0, 8, 256), layer(null, 8, 100)), [32, 64, 128, 256]), '');
        const fixed = { ...symmetric, group_size: null, divides: 128, regroupable: false };
        assert.equal(fittingSuffix(fixed, header(layer(0, 8, 256)), [32, 64]), '');
        assert.equal(fittingSuffix(fixed, header(layer(0, 8, 192)), [32, 64]), undefined);
        assert.deepEqual(withSuffix(symmetric, '-g64').group_size, 64);
        assert.deepEqual(withSuffix(symmetric, '-channel').group_size, null);
    });

    it('offer what fits every layer, and to experts only what leaves their inputs alone and has no zero points', () => {
        const { choices, groupSizes } = readSchemaFacts(schema);
        const offered = (model: CheckpointHeader): string[] => offersFor(choices, model, groupSizes).map(({ choice, suffix }) => choice.label + suffix);
        assert.equal(offered(header(layer(0, 8, 256))).length, choices.length);
        const narrow = offered(header(layer(0, 8, 256), layer(0, 8, 72)));
        for (const label of ['gptq-w4a16-channel', 'awq-w4a16_asym-channel', 'gptq-w8a8', 'fp8', 'fp8_dynamic']) assert.ok(narrow.includes(label), label);
        for (const label of ['fp8_block', 'rtn-nvfp4a16', 'gptq-mxfp4a16']) assert.ok(!narrow.includes(label), label);
        const experts = offered(header({ ...layer(0, 8, 256), name: 'model.layers.0.mlp.experts.0.up_proj' }));
        assert.ok(experts.includes('awq-w4a16') && experts.includes('rtn-nvfp4a16'));
        assert.ok(!experts.some((label) => /a8$|^fp8|fp8_dynamic$|_asym/.test(label)));
    });

    it('are written shortly', () => {
        assert.deepEqual([0, 999, 1000, 99_440, 99_560, 4.6e9, 1.2e15].map(formatBytes), ['0 B', '999 B', '1.0 KB', '99.4 KB', '100 KB', '4.6 GB', '1200 TB']);
    });
});

describe('where a recipe goes', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);
    const make = (file: string): string => {
        const whole = path.join(folder, file);
        mkdirSync(path.dirname(whole), { recursive: true });
        writeFileSync(whole, '');
        return whole;
    };

    it('is beside other recipes or data, at most in the workspace folder', async () => {
        const workspace = path.join(folder, 'one');
        const checkpoint = path.dirname(make('one/deep/checkpoints/model/config.json'));
        assert.equal((await placeRecipe(checkpoint, [workspace])).folder, path.join(workspace, 'deep', 'checkpoints'));
        make('calibration.jsonl');
        assert.equal((await placeRecipe(checkpoint, [workspace])).folder, path.join(workspace, 'deep', 'checkpoints'));
        const calibration = make('one/calibration.jsonl');
        const heldOut = make('one/held-out.txt');
        assert.deepEqual(await placeRecipe(checkpoint, [workspace]), { folder: workspace, calibration, heldOut });
        make('one/deep/other.quant.yaml');
        assert.deepEqual(await placeRecipe(checkpoint, [workspace]), { folder: path.join(workspace, 'deep'), calibration, heldOut });
    });

    it('is the first workspace folder for a checkpoint outside, and beside it without any', async () => {
        const checkpoint = path.dirname(make('elsewhere/model/config.json'));
        const workspace = path.join(folder, 'two');
        mkdirSync(workspace);
        assert.equal((await placeRecipe(checkpoint, [workspace])).folder, workspace);
        assert.equal((await placeRecipe(checkpoint, [])).folder, path.join(folder, 'elsewhere'));
        assert.equal((await placeRecipe(workspace, [workspace])).folder, workspace);
    });

    it('takes the next free name', async () => {
        const place = path.dirname(make('three/model.quant.yaml'));
        assert.equal(await freeRecipePath(place, 'model'), path.join(place, 'model-2.quant.yaml'));
        make('three/model-2.quant.yaml');
        assert.equal(await freeRecipePath(place, 'model'), path.join(place, 'model-3.quant.yaml'));
        assert.equal(await freeRecipePath(place, 'other'), path.join(place, 'other.quant.yaml'));
    });

    it('is told apart from folders that merely begin alike', () => {
        assert.deepEqual([isWithin('/a/b', '/a'), isWithin('/a', '/a'), isWithin('/ab', '/a'), isWithin('/a/..b', '/a')], [true, true, false, true]);
    });
});

describe('the recipe that the questions lead to', () => {
    const { folder, remove } = temporaryFolder();
    after(remove);
    const choices = (change: Partial<RecipeChoices> = {}): RecipeChoices => ({
        recipe: path.join(folder, 'm.quant.yaml'), checkpoint: path.join(folder, 'checkpoints', 'm'), output: path.join(folder, 'output', 'm-4'),
        candidates: ['rtn-w4a16', 'gptq-w4a16-g64'], defaultUse: 'gptq-w4a16-g64', calibration: path.join(folder, 'calibration.jsonl'),
        heldOut: path.join(folder, 'held-out.txt'), maximumTokens: 512, needsCalibration: true, ...change,
    });

    it('says what was chosen, with relative paths and not more tokens than the model takes', () => {
        assert.deepEqual(parse(recipeText(choices())), {
            model: 'checkpoints/m', calibration: { data: 'calibration.jsonl', samples: 128, sequence_length: 512, seed: 0 },
            candidates: ['rtn-w4a16', 'gptq-w4a16-g64'], quantize: { default: 'gptq-w4a16-g64' },
            evaluate: { data: 'held-out.txt', samples: 64, sequence_length: 512 }, output: 'output/m-4',
        });
        const large = parse(recipeText(choices({ maximumTokens: 131_072 }))) as { calibration: { sequence_length: number } };
        assert.equal(large.calibration.sequence_length, 2048);
    });

    it('leaves a name to fill in where no data was found, and no evaluation without held-out text', () => {
        const parsed = parse(recipeText(choices({ calibration: undefined, heldOut: undefined }))) as Record<string, unknown>;
        assert.deepEqual(parsed.calibration, { data: 'calibration.jsonl', samples: 128, sequence_length: 512, seed: 0 });
        assert.equal('evaluate' in parsed, false);
    });

    it('does without calibration where no data was found and nobody needs any', () => {
        const data = choices({ needsCalibration: false });
        assert.ok('calibration' in (parse(recipeText(data)) as object));
        const without = recipeText({ ...data, calibration: undefined });
        assert.equal('calibration' in (parse(without) as object), false);
        const uncommented = without.replace(/^# (?=calibration:| {2})/gm, '');
        assert.deepEqual((parse(uncommented) as Record<string, unknown>).calibration, { data: 'calibration.jsonl', samples: 128, sequence_length: 512, seed: 0 });
        const { choices: all } = readSchemaFacts(schema);
        const needy = (label: string): boolean | undefined => all.find((choice) => choice.label === label)?.needsCalibration;
        assert.deepEqual(['gptq-w4a16', 'awq-w4a16', 'smoothquant-w8a8', 'fp8', 'fp8_dynamic', 'rtn-w4a16', 'rtn-w8a8', 'hqq-w4a16'].map(needy), [true, true, true, true, false, false, false, false]);
    });

    it('survives every name that a folder may have', () => {
        for (const name of ['a b', 'yes', '1.5', 'a: b', 'a #b', '"q"', '- x', 'ünï', '{x}', '*a']) {
            const parsed = parse(recipeText(choices({ checkpoint: path.join(folder, name), output: path.join(folder, 'o', name) }))) as Record<string, unknown>;
            assert.deepEqual([parsed.model, parsed.output], [name, `o/${name}`]);
        }
    });

    it('is accepted by the engine, for the sample checkpoint', async () => {
        const header = await readCheckpoint(sample, readSchemaFacts(schema).families);
        mkdirSync(path.join(folder, 'checkpoints'));
        symlinkSync(sample, path.join(folder, 'checkpoints', 'm'));
        for (const name of ['calibration.jsonl', 'held-out.txt']) symlinkSync(path.join(root, 'samples', name), path.join(folder, name));
        const written = choices({ candidates: sensibleCandidates(readSchemaFacts(schema).choices).map(({ label }) => label), defaultUse: 'rtn-w4a16', maximumTokens: header.maximumTokens });
        writeFileSync(written.recipe, recipeText(written));
        const env = { ...process.env, PYTHONPATH: path.join(root, 'engine') };
        const report = JSON.parse(execFileSync(venvPython, ['-m', 'quant_engine', 'check', written.recipe, '--json'], { env, encoding: 'utf8' })) as CheckReport;
        assert.deepEqual(report.diagnostics, []);
    });

    it('points the engine’s finger at the data that is missing, and at nothing else', () => {
        const written = choices({ recipe: path.join(folder, 'no-data', 'm.quant.yaml'), calibration: undefined, heldOut: undefined, checkpoint: sample });
        mkdirSync(path.dirname(written.recipe));
        writeFileSync(written.recipe, recipeText(written));
        const env = { ...process.env, PYTHONPATH: path.join(root, 'engine') };
        const { stdout } = spawnSync(venvPython, ['-m', 'quant_engine', 'check', written.recipe, '--json'], { env, encoding: 'utf8' });
        assert.deepEqual((JSON.parse(stdout) as CheckReport).diagnostics.map(({ code }) => code), ['data-missing']);
    });
});
