"""AWQ, SmoothQuant and range searches: worked examples, and what must hold for any weights and inputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quant_engine.calibration import statistics_of
from quant_engine.formats.grid import decode, encode, find_grid
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.methods.awq import AwqArguments, awq, scale_of, search_clip, search_scale
from quant_engine.methods.rounding import NOT_SCALED
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.methods.smoothquant import SmoothquantArguments, smoothing_scale, smoothquant
from quant_engine.methods.types import Quantized, Statistics
from quant_engine.sensitivity import energies

FORMAT = WeightFormat(4, group_size=32)
ZEROS = WeightFormat(4, symmetric=False, group_size=32)


def problem(foldable: bool = True) -> tuple[Tensor, Statistics]:
    """Weights of 96 rows and inputs of which some channels are far larger than the others."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(96, 128, generator=generator).bfloat16()
    strength = torch.exp(1.5 * torch.randn(128, generator=generator))
    X = (torch.randn(2000, 128, generator=generator) * strength).bfloat16()
    statistics = statistics_of([X])
    statistics.fold = (lambda scale: scale) if foldable else None
    return weight, statistics


def inputs_of(statistics: Statistics) -> Tensor:
    assert statistics.inputs is not None
    (X,) = statistics.inputs()
    return X.double()


def error_of(quantized: Quantized, weight: Tensor, statistics: Statistics) -> float:
    return energies(quantized.effective().float() - weight.float(), statistics.gram, [weight.shape[0]])[0]


def test_awq_scales_by_inputs_alone():
    inputs = torch.tensor([4.0, 1.0, 0.25])
    assert scale_of(inputs, None, 0).tolist() == [1, 1, 1]
    assert scale_of(inputs, None, 0.5).tolist() == pytest.approx([2, 1, 0.5])
    assert scale_of(inputs, None, 0.95).tolist() == pytest.approx([3.73213, 1, 0.26794], rel=2e-5)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(0, [0.89448, 1.78861, 0.55909]), (0.5, [2.24933, 1.59042, 0.44458]), (0.95, [3.77624, 1.04750, 0.26481])],
)
def test_awq_scales_by_inputs_and_weights(exponent: float, expected: list[float]):
    found = scale_of(torch.tensor([4.0, 1.0, 0.25]), torch.tensor([0.5, 0.25, 0.8]), exponent)
    assert found.tolist() == pytest.approx(expected, rel=2e-5)
    assert float(found.max() * found.min()) == pytest.approx(1)


@pytest.mark.parametrize("kind", [FORMAT, ZEROS], ids=["symmetric", "with zero points"])
@pytest.mark.parametrize("duo", [True, False])
def test_the_search_takes_the_best_of_its_grid(duo: bool, kind: WeightFormat):
    """Compared with direct forwards in float64 for each exponent."""
    weight, statistics = problem()
    X = inputs_of(statistics)
    scale, exponent = search_scale(weight, statistics, kind, 20, duo)
    mean = X.abs().mean(0).float()
    grouped = weight.float().abs().reshape(96, 4, 32)
    weights = (grouped / (grouped.amax(-1, keepdim=True) + 1e-6)).mean(0).reshape(-1) if duo else None
    errors = {}
    for step in range(20):
        s = scale_of(mean, weights, step / 20)
        grid = find_grid(weight.float() * s, kind, torch.bfloat16)
        rounded = decode(encode(weight.float() * s, grid), grid).double() / s.double()
        errors[step / 20] = float((X @ (rounded - weight.double()).t()).square().sum())
    assert exponent == min(errors, key=lambda key: errors[key]) and exponent > 0
    assert torch.allclose(scale, scale_of(mean, weights, exponent), rtol=1e-4)


@pytest.mark.parametrize("kind", [FORMAT, ZEROS], ids=["symmetric", "with zero points"])
def test_awq_loses_less_than_rtn_and_with_gptq_less_still(kind: WeightFormat):
    weight, statistics = problem()
    plain = rtn(weight, statistics, kind, RtnArguments())
    choices = (AwqArguments(clip=False), AwqArguments(), AwqArguments(rounding="gptq"))
    results = [awq(weight, statistics, kind, choice) for choice in choices]
    errors = [error_of(one, weight, statistics) for one in (plain, *results)]
    assert errors == sorted(errors, reverse=True) and errors[1] < 0.9 * errors[0]


def test_without_an_operation_to_fold_into_the_record_says_so():
    weight, statistics = problem(foldable=False)
    for done in (
        awq(weight, statistics, FORMAT, AwqArguments()),
        smoothquant(weight, statistics, SCHEMES["W8A8"].weights, SmoothquantArguments()),
    ):
        assert done.scale is None and done.report.note == NOT_SCALED and done.report.fallback is None


@pytest.mark.parametrize("kind", [FORMAT, ZEROS], ids=["symmetric", "with zero points"])
def test_clipping_is_the_best_share_of_each_group_and_never_below_the_last(kind: WeightFormat):
    weight, statistics = problem()
    X = inputs_of(statistics)
    share = search_clip(weight.float(), statistics.gram, kind, torch.bfloat16, torch.arange(96) < 5)
    assert share.shape == (96, 4) and float(share.min()) >= 0.55 - 1e-6 and bool((share[:5] == 1).all())
    assert float(share[5:].min()) < 1
    for row, group in ((7, 0), (20, 3), (90, 2)):
        part = slice(32 * group, 32 * group + 32)
        w = weight[row : row + 1, part]
        errors = []
        for step in range(10):
            limit = float(w.abs().max()) * (1 - step / 20)
            grid = find_grid(w.float().clamp(-limit, limit), kind, torch.bfloat16)
            difference = (decode(encode(w, grid), grid).double() - w.double())[0]
            errors.append(float((X[:, part] @ difference).square().sum()))
        assert float(share[row, group]) == pytest.approx(1 - errors.index(min(errors)) / 20)


def test_smoothing_scales_of_the_worked_example():
    weight = torch.tensor([[0.5, -2.0, 0.25], [-0.1, 1.0, 0.2]])
    inputs = torch.tensor([[16.0, -1.0, 4.0], [-16.0, 1.0, -4.0]])
    statistics = statistics_of([inputs])
    assert smoothing_scale(weight, statistics, 0.5).tolist() == pytest.approx([5.65685, 0.70711, 4], rel=1e-5)
    assert smoothing_scale(weight, statistics, 0.8).tolist() == pytest.approx([10.55606, 0.87055, 4], rel=1e-5)
    assert smoothing_scale(weight, statistics, 0.5, "range").tolist() == pytest.approx([5.65685, 0.70711, 4], rel=1e-5)
    assert smoothing_scale(weight, statistics, 0.8, "range").tolist() == pytest.approx([16, 1.31951, 6.06287], rel=1e-5)
    scale = smoothing_scale(weight, statistics, 0.5)
    balanced = (statistics.largest.float() / scale, (weight * scale).abs().amax(0))
    for largest in balanced:
        assert largest.tolist() == pytest.approx([2.82843, 1.41421, 1], rel=1e-5)
    assert (statistics.largest.float() / smoothing_scale(weight, statistics, 1)).tolist() == pytest.approx([1, 1, 1])
    assert (weight * smoothing_scale(weight, statistics, 0)).abs().amax(0).tolist() == pytest.approx([1, 1, 1])


def test_scaled_statistics_are_those_of_scaled_inputs():
    _, statistics = problem()
    scale = torch.exp(torch.randn(128, generator=torch.Generator().manual_seed(1)))
    expected = statistics_of([inputs_of(statistics) / scale.double()])
    found = statistics.scaled(scale)
    torch.testing.assert_close(found.gram, expected.gram, rtol=1e-5, atol=1e-5 * float(expected.gram.max()))
    torch.testing.assert_close(found.magnitudes, expected.magnitudes, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.largest, expected.largest, rtol=1e-5, atol=1e-7)
    for name in ("lowest", "highest"):
        torch.testing.assert_close(getattr(found.ranges, name), getattr(expected.ranges, name), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["W3A16", "W4A16", "MXFP4A16", "W8A8", "W3A16_ASYM", "W4A16_ASYM"])
def test_a_searched_range_is_never_worse_by_its_own_measure(name: str):
    weight, statistics = problem()
    kind = SCHEMES[name].weights
    plain, searched = (rtn(weight, statistics, kind, RtnArguments(range=choice)) for choice in ("minmax", "mse"))
    measure = [searched.grid.gather((one.dequantize().float() - weight.float()).abs().pow(2.4)) for one in (plain, searched)]
    assert bool((measure[1] <= measure[0] * (1 + 1e-6)).all())
    if name.startswith("W3"):
        assert float(measure[1].sum()) < 0.98 * float(measure[0].sum())
