import assert from 'node:assert/strict';
import type { LayerResult, ParetoFront, Result } from '../../../protocol/generated/result';
import { edited } from '../../../server/edited';
import type { Facts } from '../../../server/facts';
import { paretoChoices, paretoEdits } from '../../../server/pareto';
import { facts, header, recipe } from './fixture';

const ran = `# The recipe.
model: tiny
calibration: { data: c.txt }
candidates: # three
  - gptq-w4a16-g32
  - method: rtn # long
    scheme: W3A16
    group_size: 32
  - gptq-w8a16-g32
quantize:
  # Four bits nearly everywhere.
  default: gptq-w4a16-g32 # the default
  budget: { bits_per_weight: 5 }
  rules: # the first match wins
    - { layers: "*.k_proj", use: none } # keys
output: out
`;

/** Units: q and v of a block, o, gate and up, down. `assign` says the candidate of a unit by its first layer's name. */
function front(...points: ((name: string) => number)[]): ParetoFront {
    const units = [0, 1, 2].flatMap((block) => [['self_attn.q_proj', 'self_attn.v_proj'], ['self_attn.o_proj'], ['mlp.gate_proj', 'mlp.up_proj'], ['mlp.down_proj']]
        .map((unit) => unit.map((kind) => `model.layers.${block}.${kind}`)));
    return {
        objective: 'noise', units, unmeasured: [],
        points: points.map((assign, index) => ({ bits_per_weight: 4 + index / 4, bytes: 1_900_000 + index, predicted_loss: 0.5 / (index + 1), min_sqnr_db: 20 + index, assignment: units.map(([name]) => assign(name!)) })),
    };
}

function known(pareto: ParetoFront, text = ran): Facts {
    const layers = header().linears.map(({ name, block, outputs, inputs }) => ({ name, block, outputs, inputs, rule: name.endsWith('k_proj') ? 0 : block === null ? null : 'budget' })) as LayerResult[];
    return facts({ result: { result: { run: 'run-1', layers, pareto } as Result, ran: text } });
}

function written(text: string, pareto: ParetoFront, number = 1, of = ran): string | undefined {
    const edits = paretoEdits(recipe(text), known(pareto, of), number);
    return edits && edited(text, edits).text;
}

const mixed = front((name) => (name.endsWith('down_proj') ? 2 : name.includes('.0.') ? 1 : 0));

describe('points of the front', () => {
    it('are listed with size, bits, worst layer and predicted loss', () => {
        assert.deepEqual(paretoChoices(recipe(ran), known(front(() => 0, () => 2))), [
            { number: 1, label: 'Point 1 of 2: 4 bits per weight, 1.9 MB, worst layer 20.0 dB', detail: 'Predicted loss 0.5000' },
            { number: 2, label: 'Point 2 of 2: 4.25 bits per weight, 1.9 MB, worst layer 21.0 dB', detail: 'Predicted loss 0.2500' },
        ]);
    });

    it('become default and rules below those that ran; the budget goes, comments stay', () => {
        assert.equal(written(ran, mixed), ran.replace('  budget: { bits_per_weight: 5 }\n', '').replace('# keys\n', `# keys
    # Point 1 of 1 of run run-1: 4 bits per weight, predicted loss 0.5000.
    - layers: [model.layers.0.self_attn.q_proj, model.layers.0.self_attn.v_proj, model.layers.0.self_attn.o_proj, model.layers.0.mlp.gate_proj, model.layers.0.mlp.up_proj]
      use: { method: rtn, scheme: W3A16, group_size: 32 }
    - layers: "model.layers.*.mlp.down_proj"
      use: gptq-w8a16-g32
`).replace(/- layers: \[([^\]]*)\]/, (_, names: string) => `- layers:\n${names.split(', ').map((name) => `        - ${name}`).join('\n')}`));
    });

    it('replace those of another point', () => {
        const first = written(ran, mixed)!;
        const second = written(first, front((name) => (name.endsWith('o_proj') ? 2 : 0)))!;
        assert.equal(second, ran.replace('  budget: { bits_per_weight: 5 }\n', '').replace('# keys\n', `# keys
    # Point 1 of 1 of run run-1: 4 bits per weight, predicted loss 0.5000.
    - layers: "model.layers.*.self_attn.o_proj"
      use: gptq-w8a16-g32
`));
        assert.equal(written(second, front(() => 0)), ran.replace('  budget: { bits_per_weight: 5 }\n', ''), 'one candidate everywhere needs no rule');
    });

    it('find a place in braces and brackets, and where there are no rules', () => {
        const flow = ran.replace(/quantize:[^]*output/, 'quantize: { default: gptq-w4a16-g32, budget: { bits_per_weight: 5 }, rules: [{ layers: "*.k_proj", use: none }] }\noutput');
        const down = front((name) => (name.endsWith('down_proj') ? 2 : 0));
        assert.match(written(flow, down, 1, flow)!, /quantize: \{ default: gptq-w4a16-g32, rules: \[\{ layers: "\*\.k_proj", use: none \}, \{ layers: "model\.layers\.\*\.mlp\.down_proj", use: gptq-w8a16-g32 \}\] \}/);
        const bare = ran.replace(/ {2}rules:[^]*output/, 'output');
        assert.ok(written(bare, down, 1, bare)!.includes('  default: gptq-w4a16-g32 # the default\n  rules:\n    # Point 1 of 1 of run run-1: 4 bits per weight, predicted loss 0.5000.\n    - layers: "model.layers.*.mlp.down_proj"\n      use: gptq-w8a16-g32\noutput'));
        const own = bare.replace('# the default\n', '# the default\n  rules:\n    - layers: "*.q_proj" # mine\n      use: none\n');
        assert.ok(!written(own, down, 1, bare)!.includes('mine'), 'a rule that did not run goes');
    });

    it('are none of a recipe with other candidates, another model or without a rule that ran', () => {
        const changes: ((text: string) => string)[] = [
            (text) => text.replace('  - gptq-w8a16-g32\n', ''), (text) => text.replace('tiny', 'other'), (text) => text.replace('"*.k_proj"', '"*.v_proj"'), (text) => text.replace('candidates:', 'candidates: ['),
        ];
        for (const change of changes) assert.deepEqual(paretoChoices(recipe(change(ran)), known(mixed)), []);
        assert.deepEqual(paretoChoices(recipe(ran), facts()), []);
        assert.equal(written(ran, mixed, 2), undefined);
    });
});
