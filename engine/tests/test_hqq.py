"""HQQ against its definition, a float64 twin of it, and rounding to nearest by its own measure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.methods.hqq import BETA, GROWTH, HqqArguments, fit, hqq, outliers, zero_step
from quant_engine.methods.rtn import RtnArguments, rtn

SAMPLE = Path(__file__).parents[2] / "samples" / "checkpoints" / "tiny-llama-pydoc"
SCHEMES_TRIED = ["W2A16_ASYM", "W3A16_ASYM", "W4A16_ASYM", "W3A16", "W4A16", "W8A16_ASYM"]


def weights(rows: int = 48, columns: int = 256, dtype: torch.dtype = torch.float32) -> Tensor:
    """A few outliers in each row, rows off their middle."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(rows, columns, generator=generator) * 0.02 + 0.004
    weight[torch.rand(rows, columns, generator=generator) < 0.01] *= 6
    return weight.to(dtype)


def norms(difference: Tensor, groups: int, power: float = 0.7) -> Tensor:
    return difference.double().abs().pow(power).reshape(len(difference), groups, -1).sum(-1)


def test_one_step_of_the_worked_example():
    """The reference's step: the zero point 9 of unsigned codes is 1 of signed ones, and becomes 9.059783 before it is rounded."""
    row = torch.tensor([[0.9, -0.35, 0.2, -1.4]], dtype=torch.float64)
    grid = find_grid(row, WeightFormat(4, symmetric=False, group_size=None), torch.float64)
    assert grid.zeros is not None and 1 / grid.scales.item() == pytest.approx(6.521739) and grid.zeros.item() == 1
    codes = encode(row, grid).double()
    assert (codes + 8).tolist() == [[15, 7, 10, 0]]
    error = row - (codes - 1) * grid.scales
    assert error.abs().mean().item() == pytest.approx(0.0325)
    assert outliers(error, 0.7, 10).tolist() == [[0, 0, 0, 0]]
    zero = zero_step(row, codes, grid.scales).item()
    assert zero + 8 == pytest.approx(9.059783)
    assert (row - (codes - zero) * grid.scales).abs().mean().item() == pytest.approx(0.027917, abs=1e-6)


def test_the_threshold_is_the_solution_of_its_problem():
    """E is 0 up to where |D|^(2−p) = 1/β, and close to the minimum of |E|^p/p + β/2·(E − D)² beyond: it solves it to first order."""
    edge = 10 ** (-1 / 1.3)
    found = outliers(torch.tensor([0, 0.99 * edge, -0.99 * edge, 1.01 * edge, -0.5, 2.0], dtype=torch.float64), 0.7, 10)
    assert found[:3].tolist() == [0, 0, 0] and float(found[3]) > 0 > float(found[4])
    for value, shrunk in ((-0.5, float(found[4])), (2.0, float(found[5]))):
        assert abs(value) - abs(shrunk) == pytest.approx(abs(value) ** -0.3 / 10)


def twin(group: Tensor, kind: WeightFormat, norm: float, iterations: int) -> tuple[Tensor, float]:
    """The definition for one group of weights, in float64 with plain numbers: the weights it stands for, and Σ|w − ŵ|^p."""
    lowest, highest = kind.code_range
    low, high = min(float(group.min()), 0), max(float(group.max()), 0)
    if kind.symmetric:
        scale, zero = max(high, -low) / ((2**kind.num_bits - 1) / 2), 0.0
    else:
        scale = (high - low) / (2**kind.num_bits - 1)
        zero = float(round(min(max(lowest - low / scale, lowest), highest)))
    unit, beta, best = scale, BETA, (group, float("inf"))
    for _ in range(iterations):
        codes = (group / scale + zero).round().clamp(lowest, highest)
        error = group - (codes - zero) * scale
        total = float(error.abs().pow(norm).sum())
        best = (group - error, total) if total < best[1] else best
        relative = error / unit
        size = relative.abs().clamp(min=1e-30)
        target = group - unit * relative.sign() * (size - size ** (norm - 1) / beta).clamp(min=0)
        if not kind.symmetric:
            zero = min(max(float((codes - target / scale).mean().round()), lowest), highest)
        levels = codes - zero
        if float((target * levels).sum()) > 0:
            scale = float((target * levels).sum() / levels.square().sum())
        beta *= GROWTH
    return best


@pytest.mark.parametrize("name", SCHEMES_TRIED)
def test_the_fit_is_that_of_the_float64_twin(name: str):
    """In float64 exactly; with float32 scales the sums agree closely, though single codes on ties may not."""
    kind = SCHEMES[name].weights.with_group_size(64)
    weight = weights(rows=6)
    exact = fit(weight.double(), find_grid(weight.double(), kind, torch.float64), 0.7, 30)
    zeros = 0 if exact.zeros is None else exact.zeros.double().repeat_interleave(64, 1)
    ours = (encode(weight.double(), exact).double() - zeros) * exact.scales.repeat_interleave(64, 1)
    expected = [[twin(group, kind, 0.7, 30) for group in row.double().split(64)] for row in weight]
    assert torch.allclose(ours, torch.stack([torch.cat([values for values, _ in row]) for row in expected]), rtol=1e-9, atol=1e-12)
    stored = hqq(weight, None, kind, HqqArguments(iterations=30)).dequantize()
    sums = torch.tensor([[total for _, total in row] for row in expected], dtype=torch.float64)
    assert float(norms(stored - weight, 4).sum() / sums.sum()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", SCHEMES_TRIED)
@pytest.mark.parametrize("norm", [0.4, 0.7, 0.95])
def test_by_its_own_measure_no_group_is_worse_than_rounding_to_nearest(name: str, norm: float):
    kind = SCHEMES[name].weights.with_group_size(64)
    weight = weights()
    plain, fitted = rtn(weight, None, kind, RtnArguments()), hqq(weight, None, kind, HqqArguments(norm=norm))
    before, after = (norms(one.dequantize() - weight, 4, norm) for one in (plain, fitted))
    assert bool((after <= before * (1 + 1e-6)).all())
    assert float(after.sum()) < (0.97 if kind.num_bits < 8 else 1) * float(before.sum())


@pytest.mark.parametrize(("bits", "least"), [(3, 0.09), (4, 0.035)])
@pytest.mark.parametrize("suffix", ["", "_ASYM"])
def test_on_the_sample_weights_it_loses_less_than_rounding_by_both_measures(bits: int, least: float, suffix: str):
    """Σ|w − ŵ|^0.7, which it makes small, and Σ|w − ŵ|², which it does not look at."""
    checkpoint = Checkpoint.open(SAMPLE)
    names = [f"{linear.name}.weight" for linear in list_linears(checkpoint) if linear.block == 1]
    kind = SCHEMES[f"W{bits}A16{suffix}"].weights.with_group_size(64)
    sums = torch.zeros(2, 2, dtype=torch.float64)
    for weight in checkpoint.load(names).values():
        for at, one in enumerate((rtn(weight, None, kind, RtnArguments()), hqq(weight, None, kind, HqqArguments()))):
            difference = (one.dequantize() - weight).double().abs()
            sums[at] += torch.stack([difference.pow(0.7).sum(), difference.square().sum()])
    assert bool((sums[1] < (1 - least) * sums[0]).all())


def test_groups_without_anything_to_fit_stay_as_they_are():
    weight = torch.zeros(3, 64, dtype=torch.bfloat16)
    weight[1] = 0.5
    weight[2, 5] = -3
    for name in ("W4A16_ASYM", "W4A16"):
        done = hqq(weight, None, SCHEMES[name].weights.with_group_size(32), HqqArguments())
        assert bool(torch.isfinite(done.grid.scales).all()) and bool((done.grid.scales > 0).all())
        assert torch.allclose(done.dequantize().float(), weight.float(), atol=0.3 if name == "W4A16" else 0.01)
    assert torch.equal(done.dequantize()[0], weight[0])
