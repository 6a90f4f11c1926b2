"""The front against brute force: each point is one that no choice beats, and none is missing where there are few."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from quant_engine.assignment import pareto_front
from quant_engine.recipe import Quantize
from quant_engine.result import ParetoFront
from quant_engine.uses import Use, resolve
from test_budget import Instance, instance, large, uses_of


def front_of(made: Instance, wanted: int) -> ParetoFront:
    section = Quantize(default="none", rules=made.rules)
    found = pareto_front(made.linears, section, made.candidates, made.measured, made.storage, made.fused, wanted)
    assert found is not None
    return found


def uses_at(made: Instance, front: ParetoFront, index: int) -> dict[str, Use]:
    fixed = {name: use for rule in made.rules for name in rule.patterns if (use := resolve(rule.use))}
    chosen = zip(front.units, front.points[index].assignment, strict=True)
    return fixed | {name: made.candidates[candidate] for unit, candidate in chosen for name in unit}


def trades(made: Instance) -> list[tuple[Fraction, Fraction]]:
    """Bits and loss of every choice that no other beats, ascending in bits."""
    kept: list[tuple[Fraction, Fraction]] = []
    for bits, loss in sorted({(made.bits(uses), made.loss(uses)) for uses in made.every()}):
        if not kept or loss < kept[-1][1]:
            kept.append((bits, loss))
    return kept


@pytest.mark.parametrize("seed", range(500, 600))
@pytest.mark.parametrize("wanted", [5, 24])
def test_every_point_is_unbeaten_and_the_ends_are_there(seed: int, wanted: int) -> None:
    made = instance(seed)
    front, expected = front_of(made, wanted), trades(made)
    uses = [uses_at(made, front, index) for index in range(len(front.points))]
    found = [(made.bits(one), made.loss(one)) for one in uses]
    assert found == sorted(found) and set(found) <= set(expected)
    assert len(set(found)) == min(wanted, len(expected)), "as many as asked for, or all that there are"
    assert (found[0], found[-1]) == (expected[0], expected[-1])
    for point, one in zip(front.points, uses, strict=True):
        assert point.bits_per_weight == pytest.approx(float(made.bits(one)), rel=1e-15)
        # Layers of rules count too, as far as what they ask for was measured.
        counted = [layer for layer in made.linears if layer.name in one and one[layer.name].label in made.measured[layer.name].candidates]
        assert {*front.unmeasured} == one.keys() - {layer.name for layer in counted}
        entries = [(made.measured[layer.name], one[layer.name].label) for layer in counted]
        loss = sum(entry.candidates[label].noise / entry.signal for entry, label in entries if entry.signal > 0)
        assert point.predicted_loss == pytest.approx(loss, rel=1e-12)
        assert point.bytes == made.bytes(one)
        measured = [entry.candidates[label].sqnr_db for entry, label in entries]
        finite = [value for value in measured if value is not None]
        assert point.min_sqnr_db == (min(finite) if finite else None)


@pytest.mark.parametrize("blocks", [2, 32])
def test_a_model_of_any_depth_has_24_points_each_the_best_for_its_bits(blocks: int) -> None:
    made = large(1, blocks)
    front = front_of(made, 24)
    assert len(front.points) == 24
    for earlier, later in zip(front.points, front.points[1:], strict=False):
        assert earlier.bits_per_weight < later.bits_per_weight and earlier.predicted_loss > later.predicted_loss
    for index in range(0, 24, 4):
        bits = made.bits(uses_at(made, front, index))
        # The budget's own solver, given exactly these bits, finds nothing better.
        solved = uses_of(made.solve(bits_per_weight=math.ceil(bits * 10**12) / 10**12))
        assert made.loss(solved) == made.loss(uses_at(made, front, index))


def test_fused_layers_are_one_unit_and_rules_take_part_in_none() -> None:
    made = next(found for seed in range(600, 700) if (found := instance(seed)).rules and found.fused)
    front = front_of(made, 24)
    assert front.units == [[layer.name for layer in unit] for unit in made.units]
    assert not {name for rule in made.rules for name in rule.patterns} & {name for unit in front.units for name in unit}


def test_without_candidates_or_free_layers_there_is_no_front() -> None:
    made = instance(1)
    everything = Quantize.model_validate({"default": "none", "rules": [{"layers": "*", "use": "none"}]})
    assert pareto_front(made.linears, everything, made.candidates, made.measured, made.storage) is None
    assert pareto_front(made.linears, Quantize(default="none"), [], made.measured, made.storage) is None
