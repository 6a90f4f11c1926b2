import random

import pytest

from quant_engine.assignment import Assigned, LayerMeasurements, assign
from quant_engine.checkpoint import LinearInfo
from quant_engine.errors import QuantError
from quant_engine.recipe import Budget, Quantize, Rule
from quant_engine.result import Measurement
from quant_engine.uses import parse_short

LAYERS = [
    LinearInfo(f"model.layers.{block}.{kind}", block, outputs, 128)
    for block in range(3)
    for kind, outputs in (("self_attn.q_proj", 128), ("mlp.down_proj", 320))
]
HEAD = LinearInfo("lm_head", None, 500, 128)
CANDIDATES = [parse_short(name) for name in ("rtn-w2a16", "rtn-w3a16", "gptq-w4a16", "gptq-w8a16-channel")]


def measured(seed: int, layers: list[LinearInfo] = LAYERS) -> dict[str, LayerMeasurements]:
    """Random noises, falling with bits on the whole, with dominated candidates now and then."""
    chance = random.Random(seed)
    return {
        layer.name: LayerMeasurements(
            signal=chance.uniform(1, 1000),
            candidates={
                use.label: Measurement(noise=chance.uniform(0.2, 5) * 4.0**-(index), sqnr_db=0, state="finite", bits_per_weight=0)
                for index, use in enumerate(CANDIDATES)
            },
        )
        for layer in layers
    }


def bits(layers: list[LinearInfo], assigned: dict[str, Assigned]) -> float:
    """Average stored bits of the quantized layers."""
    quantized = [(layer, use) for layer in layers if (use := assigned[layer.name].use)]
    weights = [layer.outputs * layer.inputs for layer, _ in quantized]
    stored = [use.weight_format.bits_per_weight(layer.inputs) * n for (layer, use), n in zip(quantized, weights, strict=True)]
    return sum(stored) / sum(weights)


def noise(measurements: dict[str, LayerMeasurements], assigned: dict[str, Assigned]) -> float:
    return sum(entry.candidates[use.label].noise / entry.signal for name, entry in measurements.items() if (use := assigned[name].use))


def test_the_first_matching_rule_decides_and_the_default_takes_the_rest():
    section = Quantize(
        default="gptq-w4a16",
        rules=[
            Rule(layers="*.down_proj", use="none"),
            Rule(layers="*.1.*", use="rtn-w8a16"),
            Rule(layers="*", use="rtn-w2a16"),
        ],
    )
    found = assign(LAYERS, section.model_copy(update={"rules": section.rules[:2]}))
    assert list(found) == [layer.name for layer in LAYERS]
    assert found["model.layers.1.mlp.down_proj"] == Assigned(None, 0)
    one, other = found["model.layers.1.self_attn.q_proj"], found["model.layers.0.self_attn.q_proj"]
    assert (one.use and one.use.label, one.rule) == ("rtn-w8a16", 1)
    assert (other.use and other.use.label, other.rule) == ("gptq-w4a16", "default")


def test_lm_head_is_a_target_only_when_a_rule_names_it():
    section = Quantize(default="gptq-w4a16")
    assert assign([*LAYERS, HEAD], section)["lm_head"] == Assigned(None, None)
    named = section.model_copy(update={"rules": [Rule(layers="lm_head", use="rtn-w8a16")]})
    found = assign([*LAYERS, HEAD], named)["lm_head"]
    assert found.rule == 0 and found.use and found.use.label == "rtn-w8a16"


def test_a_group_size_that_does_not_divide_names_layer_and_key():
    odd = [*LAYERS, LinearInfo("model.layers.2.odd", 2, 64, 96)]
    with pytest.raises(QuantError, match=r"group size 128 .* 96 of model\.layers\.2\.odd") as caught:
        assign(odd, Quantize(default="gptq-w4a16"))
    assert (caught.value.code, caught.value.key) == ("group-size", ("quantize", "default"))
    with pytest.raises(QuantError) as caught:
        assign(odd, Quantize(default="none", rules=[Rule(layers="*odd", use="rtn-w4a16-g64")]))
    assert caught.value.key == ("quantize", "rules", 0, "use")


def test_an_ample_budget_gives_every_layer_its_best_candidate():
    measurements = measured(1)
    found = assign(LAYERS, Quantize(default="none", budget=Budget(bits_per_weight=32)), CANDIDATES, measurements)
    for name, entry in measurements.items():
        use = found[name].use
        assert use and entry.candidates[use.label].noise == min(one.noise for one in entry.candidates.values())


def test_rules_count_towards_the_budget_and_kept_layers_do_not():
    measurements = measured(2)
    rules = [Rule(layers="*.0.mlp.down_proj", use="rtn-w8a16"), Rule(layers="*.1.mlp.down_proj", use="none")]
    section = Quantize(default="none", budget=Budget(bits_per_weight=4.5), rules=rules)
    found = assign([*LAYERS, HEAD], section, CANDIDATES, measurements)
    assert found["model.layers.0.mlp.down_proj"].rule == 0
    assert found["model.layers.1.mlp.down_proj"] == Assigned(None, 1)
    assert 4.0 < bits([*LAYERS, HEAD], found) <= 4.5


def test_an_unreachable_budget_names_the_range():
    section = Quantize(default="none", budget=Budget(bits_per_weight=2.0))
    with pytest.raises(QuantError, match=r"budget of 2 bits .* 2\.125 to 8\.125") as caught:
        assign(LAYERS, section, CANDIDATES, measured(0))
    assert caught.value.code == "budget-unreachable"
    assert caught.value.key == ("quantize", "budget", "bits_per_weight")
