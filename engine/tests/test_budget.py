"""Budgets against brute force: every choice of every small instance is looked at, in exact arithmetic."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from quant_engine.assignment import Assigned, LayerMeasurements, Storage, assign
from quant_engine.assignment.units import units_of
from quant_engine.checkpoint import LinearInfo
from quant_engine.errors import QuantError
from quant_engine.recipe import Budget, Quantize, Rule
from quant_engine.result import Measurement
from quant_engine.sensitivity import sqnr_db
from quant_engine.uses import Use, parse_short, resolve
from small_workspace import environment

NAMES = ("rtn-w2a16", "rtn-w3a16-g64", "gptq-w4a16-channel", "gptq-w5a16-g32", "gptq-w8a16")
SHAPES = ((64, 128), (128, 128), (320, 128), (128, 384), (96, 256))


@dataclass
class Instance:
    linears: list[LinearInfo]
    fused: list[tuple[LinearInfo, ...]]
    rules: list[Rule]
    candidates: list[Use]
    measured: dict[str, LayerMeasurements]
    storage: Storage

    @property
    def free(self) -> list[LinearInfo]:
        ruled = {name for rule in self.rules for name in rule.patterns}
        return [linear for linear in self.linears if linear.name not in ruled]

    @property
    def units(self) -> list[tuple[LinearInfo, ...]]:
        return units_of(self.free, self.fused)

    def section(self, **budget: object) -> Quantize:
        return Quantize(default="none", budget=Budget.model_validate(budget), rules=self.rules)

    def solve(self, **budget: object) -> dict[str, Assigned]:
        section = self.section(**budget)
        return assign(self.linears, section, self.candidates, self.measured, self.storage, self.fused)

    def every(self) -> Iterator[dict[str, Use]]:
        """All choices, as the use of each quantized layer."""
        fixed = {name: use for rule in self.rules for name in rule.patterns if (use := resolve(rule.use))}
        for choice in itertools.product(self.candidates, repeat=len(self.units)):
            yield fixed | {layer.name: use for unit, use in zip(self.units, choice, strict=True) for layer in unit}

    def loss(self, uses: dict[str, Use]) -> Fraction:
        found = Fraction(0)
        for layer in self.free:
            entry = self.measured[layer.name]
            if entry.signal > 0:
                found += Fraction(entry.candidates[uses[layer.name].label].noise / entry.signal)
        return found

    def bits(self, uses: dict[str, Use]) -> Fraction:
        """Average stored bits, from the definition of the formats and not from the engine's sums."""
        stored, count = Fraction(0), 0
        for layer in self.linears:
            if layer.name in uses:
                weights = uses[layer.name].weight_format
                scales = layer.outputs * (1 if weights.group_size is None else layer.inputs // weights.group_size)
                stored += weights.num_bits * layer.outputs * layer.inputs + self.storage.scale_bits * scales
                count += layer.outputs * layer.inputs
        return stored / count

    def bytes(self, uses: dict[str, Use]) -> int:
        total = self.storage.tensor_bytes
        for layer in self.linears:
            if layer.name in uses:
                weights = uses[layer.name].weight_format
                scales = layer.outputs * (1 if weights.group_size is None else layer.inputs // weights.group_size)
                packed = layer.outputs * -(-layer.inputs * weights.num_bits // 32) * 4
                total += packed + scales * self.storage.scale_bits // 8 + 16 - 2 * layer.outputs * layer.inputs
        return total


def instance(seed: int) -> Instance:
    """Two to six layers in two or three units, one to five candidates. Every third instance has noises that are small
    whole numbers, so that ties are frequent; every fourth has equal layers."""
    chance = random.Random(seed)
    linears: list[LinearInfo] = []
    fused: list[tuple[LinearInfo, ...]] = []
    for block in range(chance.randint(2, 4)):
        shape = SHAPES[1] if seed % 4 == 0 else chance.choice(SHAPES)
        made = [LinearInfo(f"model.layers.{block}.{kind}", block, *shape) for kind in "qkv"[: chance.randint(1, 3)]]
        if len(made) > 1 and chance.random() < 0.7:
            fused.append(tuple(made))
        linears += made
    linears = linears[:6]
    fused = [kept for unit in fused if len(kept := tuple(layer for layer in unit if layer in linears)) > 1]
    candidates = [parse_short(name) for name in chance.sample(NAMES, chance.randint(1, len(NAMES)))]
    measured = {layer.name: _measured(chance, candidates, whole=seed % 3 == 0) for layer in linears}
    if seed % 4 == 0:
        measured = dict.fromkeys(measured, measured[linears[0].name])
    rules = []
    if chance.random() < 0.5:
        use = chance.choice(["none", "rtn-w8a16", "rtn-w2a16"])
        rules.append(Rule(layers=chance.choice(linears[:-1]).name, use=use))
    weights = {layer.name: 2 * layer.outputs * layer.inputs for layer in linears}
    storage = Storage(chance.choice([16, 32]), sum(weights.values()) + 12345, weights)
    return Instance(linears, fused, rules, candidates, measured, storage)


def _measured(chance: random.Random, candidates: list[Use], whole: bool) -> LayerMeasurements:
    signal = 1.0 if whole else chance.choice([0.0, *[chance.uniform(1, 1000)] * 9])
    found = {}
    for use in candidates:
        noise = float(chance.randint(0, 6)) if whole else chance.uniform(0.2, 5) * 4.0**-use.weight_format.num_bits * signal
        decibel, state = sqnr_db(signal, noise)
        found[use.label] = Measurement(noise=noise, sqnr_db=decibel, state=state, bits_per_weight=0)  # type: ignore[arg-type]
    return LayerMeasurements(signal, found)


def uses_of(found: dict[str, Assigned]) -> dict[str, Use]:
    return {name: entry.use for name, entry in found.items() if entry.use is not None}


def decimal(value: Fraction, chance: random.Random) -> float:
    """A limit at, just below or above what a choice needs, as a person would write it."""
    return round(float(value) * chance.choice([0.97, 1, 1, 1.04, 1.3]), 4)


@pytest.mark.parametrize("seed", range(200))
def test_bits_are_kept_with_the_least_loss_of_all_choices(seed: int) -> None:
    made, chance = instance(seed), random.Random(seed)
    every = list(made.every())
    limit = decimal(made.bits(chance.choice(every)), chance)
    within = [uses for uses in every if made.bits(uses) <= Fraction(str(limit))]
    if not within:
        with pytest.raises(QuantError) as caught:
            made.solve(bits_per_weight=limit)
        low, high = (min(map(made.bits, every)), max(map(made.bits, every)))
        assert caught.value.code == "budget-unreachable"
        assert caught.value.message.endswith(f"reach {float(low):.3f} to {float(high):.3f}")
        return
    found = uses_of(made.solve(bits_per_weight=limit))
    assert found in every, "fused layers and rules"
    assert made.bits(found) <= Fraction(str(limit))
    best = min((made.loss(uses), made.bits(uses)) for uses in within)
    assert (made.loss(found), made.bits(found)) == best


@pytest.mark.parametrize("seed", range(200, 320))
def test_a_size_is_kept_with_the_least_loss_of_all_choices(seed: int) -> None:
    made, chance = instance(seed), random.Random(seed)
    every = list(made.every())
    limit = made.bytes(chance.choice(every)) + chance.choice([-1, 0, 0, 1, 700])
    within = [uses for uses in every if made.bytes(uses) <= limit]
    if not within:
        with pytest.raises(QuantError) as caught:
            made.solve(size=f"{limit} B")
        low, high = (min(map(made.bytes, every)), max(map(made.bytes, every)))
        assert caught.value.message.endswith(f"reach {low:,} to {high:,} bytes")
        assert caught.value.key == ("quantize", "budget", "size")
        return
    found = uses_of(made.solve(size=f"{limit} B"))
    assert found in every and made.bytes(found) <= limit
    assert (made.loss(found), made.bytes(found)) == min((made.loss(uses), made.bytes(uses)) for uses in within)


@pytest.mark.parametrize("seed", range(320, 440))
def test_a_smallest_sqnr_is_kept_with_the_fewest_bytes_of_all_choices(seed: int) -> None:
    made, chance = instance(seed), random.Random(seed)
    every = list(made.every())

    def worst(uses: dict[str, Use]) -> float:
        found = [made.measured[layer.name].candidates[uses[layer.name].label].sqnr_db for layer in made.free]
        return min((one for one in found if one is not None), default=float("inf"))

    limit = round(max(0.01, min(worst(chance.choice(every)) + chance.choice([-0.01, 0.01, 3]), 190)), 2)
    within = [uses for uses in every if worst(uses) >= limit]
    if not within:
        with pytest.raises(QuantError, match=r"cannot be kept: model\.layers\.\d\.[qkv] reaches") as caught:
            made.solve(min_sqnr=limit)
        assert f" {max(map(worst, every)):.2f} dB at most, with " in caught.value.message
        assert caught.value.key == ("quantize", "budget", "min_sqnr")
        return
    found = uses_of(made.solve(min_sqnr=limit))
    assert found in every and worst(found) >= limit
    assert (made.bytes(found), made.loss(found)) == min((made.bytes(uses), made.loss(uses)) for uses in within)


def large(seed: int, blocks: int = 8) -> Instance:
    """More layers than brute force can look at, of a real model's shapes."""
    chance = random.Random(seed)
    parts = {"q": (1536, 1536), "k": (256, 1536), "o": (1536, 1536), "gate": (8960, 1536), "down": (1536, 8960)}
    linears = [LinearInfo(f"b.{block}.{name}", block, *shape) for block in range(blocks) for name, shape in parts.items()]
    fused = [(linears[5 * block], linears[5 * block + 1]) for block in range(blocks)]
    candidates = [parse_short(f"rtn-w{bits}a16{suffix}") for bits in (2, 3, 4, 6) for suffix in ("", "-channel")]
    measured = {layer.name: _measured(chance, candidates, whole=False) for layer in linears}
    weights = {layer.name: 2 * layer.outputs * layer.inputs for layer in linears}
    return Instance(linears, fused, [], candidates, measured, Storage(16, sum(weights.values()), weights))


@pytest.mark.parametrize("seed", range(6))
def test_of_many_layers_no_exchange_between_two_units_is_better(seed: int) -> None:
    made = large(seed)
    found = uses_of(made.solve(bits_per_weight=3.6))
    count = sum(layer.outputs * layer.inputs for layer in made.linears)
    left = (Fraction("3.6") - made.bits(found)) * count
    assert left >= 0

    def moves(unit: tuple[LinearInfo, ...]) -> list[tuple[Fraction, Fraction]]:
        """(more stored bits, more loss) of every other candidate."""
        changed = [found | {layer.name: use for layer in unit} for use in made.candidates]
        return [((made.bits(one) - made.bits(found)) * count, made.loss(one) - made.loss(found)) for one in changed]

    for one, other in itertools.combinations([moves(unit) for unit in made.units], 2):
        for (bits, loss), (more_bits, more_loss) in itertools.product(one, other):
            assert loss + more_loss >= 0 or bits + more_bits > left


def test_the_same_input_gives_the_same_assignment_in_every_process() -> None:
    code = (
        "from test_budget import *; made = large(5)\n"
        "print([use.label for use in uses_of(made.solve(bits_per_weight=3.7)).values()])"
    )
    environ = environment(PYTHONPATH=":".join(sys.path))
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environ | {"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True)
        for salt in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout == f"{[use.label for use in uses_of(large(5).solve(bits_per_weight=3.7)).values()]}\n"


def test_of_equal_layers_the_earlier_ones_get_more_and_of_equal_candidates_the_first() -> None:
    made = instance(0)
    linears = [LinearInfo(f"model.layers.{block}.o", block, 128, 128) for block in range(6)]
    candidates = [parse_short(name) for name in ("gptq-w3a16", "rtn-w3a16", "rtn-w5a16", "gptq-w5a16")]
    noises = {"gptq-w3a16": 4.0, "rtn-w3a16": 4.0, "rtn-w5a16": 1.0, "gptq-w5a16": 1.0}
    same = LayerMeasurements(
        100.0, {label: Measurement(noise=noise, sqnr_db=1, state="finite", bits_per_weight=0) for label, noise in noises.items()}
    )
    section = made.section(bits_per_weight=4.0)
    found = assign(linears, section.model_copy(update={"rules": []}), candidates, {one.name: same for one in linears})
    assert [use.label for use in uses_of(found).values()] == ["rtn-w5a16"] * 2 + ["gptq-w3a16"] * 4


def test_what_a_solver_prints_from_c_does_not_reach_stdout() -> None:
    code = (
        "import ctypes; from quant_engine.assignment.quiet import stdout_to_stderr\n"
        "with stdout_to_stderr(): ctypes.CDLL(None).printf(b'noise\\n')\n"
        "print('report')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("report\n", "noise\n")
