"""Worked examples of the methods that no other file has: the other notations of a row, the steps between, and what a layout takes."""

from __future__ import annotations

import pytest
import torch

from quant_engine.calibration import statistics_of
from quant_engine.conversion import LAYOUTS
from quant_engine.conversion.layer import Layer, LayerFormat
from quant_engine.formats.grid import Grid, decode, encode, find_grid
from quant_engine.formats.packing import unpack
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.linalg.columns import quantize_columns
from quant_engine.linalg.factor import factor
from quant_engine.methods import awq
from quant_engine.methods.gptq import GptqArguments, gptq
from quant_engine.methods.hqq import outliers, zero_step
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.methods.smoothquant import smoothing_scale
from quant_engine.methods.types import Quantized, Report, Statistics

ROW = torch.tensor([[0.9, -0.35, 0.2, -1.4]], dtype=torch.float64)
SYMMETRIC = WeightFormat(4, group_size=None)
X = torch.tensor([[1.0, 2, 0], [0, 1, 1], [2, 1, 1], [1, 1, 2]], dtype=torch.float64)
W = torch.tensor([[-0.37, -0.07, -0.57]], dtype=torch.float64)
TENTHS = Grid(WeightFormat(8, group_size=None), torch.tensor([[0.1]], dtype=torch.float64))


def in_layout(layout: str, symmetric: bool) -> dict[str, torch.Tensor]:
    """What a layout stores of the row, repeated until it fills the layout's words."""
    weight = ROW.float().repeat(8, 8)
    done = rtn(weight, None, WeightFormat(4, symmetric, 32), RtnArguments())
    found = LayerFormat("layer", 8, 32, 4, 32, symmetric)
    return LAYOUTS[layout].write(Layer(found, done.codes, done.grid.scales.half(), done.grid.zeros))


def nibbles(word: torch.Tensor) -> list[int]:
    return [int(word) >> (4 * place) & 15 for place in range(8)]


def test_the_row_in_gptq_s_unsigned_codes() -> None:
    parts = in_layout("gptq_v2", symmetric=True)
    assert nibbles(parts["qweight"][0, 0]) == [13, 6, 9, 0] * 2
    assert nibbles(parts["qzeros"][0, 0]) == [8] * 8
    assert parts["scales"][0, 0].item() == pytest.approx(0.186667, rel=1e-3)


def test_the_row_in_awq_s_unsigned_codes() -> None:
    """One column of outputs is one word: column j of `qweight` holds code j of each of the eight rows, which are equal."""
    parts = in_layout("awq", symmetric=False)
    assert [nibbles(word) for word in parts["qweight"][:4, 0]] == [[15] * 8, [7] * 8, [10] * 8, [0] * 8]
    assert nibbles(parts["qzeros"][0, 0]) == [9] * 8
    assert parts["scales"][0, 0].item() == pytest.approx(0.153333, rel=1e-3)


def test_the_row_on_a_step_of_a_seventh() -> None:
    """a/7: the extremum is met exactly, and −8 is not used."""
    grid = Grid(SYMMETRIC, ROW.abs().amax(1, keepdim=True) / 7)
    codes = encode(ROW, grid)
    assert codes.tolist() == [[5, -2, 1, -7]]
    assert (codes * grid.scales)[0].tolist() == pytest.approx([1.0, -0.4, 0.2, -1.4])


def test_an_extremum_lies_on_a_tie() -> None:
    """a/7.5: upwards it is cut off at 7 steps, downwards it becomes 8."""
    for sign, share in ((1, 0.9333), (-1, -1.0667)):
        row = torch.tensor([[sign * 1.5, 0.1]], dtype=torch.float64)
        grid = find_grid(row, SYMMETRIC, torch.float64)
        assert float((encode(row, grid) * grid.scales)[0, 0]) == pytest.approx(share * 1.5, rel=1e-4)


def test_the_inverse_of_the_worked_example() -> None:
    found = factor(Statistics(X.t() @ X, 4), 0.01, ordered=False)
    assert found is not None and 2 * found.mean_diagonal == pytest.approx(12.6667, abs=1e-4)
    upper = found.upper.double()
    inverse = upper.t() @ upper / (2 * found.mean_diagonal)
    expected = [[0.231005, -0.123278, -0.071068], [-0.123278, 0.178795, -0.036625], [-0.071068, -0.036625, 0.153508]]
    torch.testing.assert_close(inverse, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


def error(row: list[float]) -> float:
    return float(((torch.tensor([row], dtype=torch.float64) - W) @ X.t()).square().sum())


def test_errors_of_the_worked_example() -> None:
    """GPTQ 0.0165, in activation order 0.0105, rounding to nearest 0.0405."""
    assert (encode(W, TENTHS) * 0.1)[0].tolist() == pytest.approx([-0.4, -0.1, -0.6])
    found = {False: [-0.4, -0.1, -0.5], True: [-0.3, -0.1, -0.6]}
    for ordered, expected in found.items():
        made = factor(Statistics(X.t() @ X, 4), 0.01, ordered=ordered)
        assert made is not None and (made.order is None or made.order.tolist() == [1, 0, 2])
        codes, _ = quantize_columns(W.clone(), made, TENTHS, 128)
        assert (codes[0] * 0.1).tolist() == pytest.approx(expected)
    assert [error(row) for row in (*found.values(), [-0.4, -0.1, -0.6])] == pytest.approx([0.0165, 0.0105, 0.0405])


def test_the_loss_of_each_column_of_the_worked_example() -> None:
    """e = 0.062418, 0.136867, −0.105925: of the first columns alone the losses add up to Σe²/2 so far."""
    made = factor(Statistics(X.t() @ X, 4), 0.01, ordered=False)
    assert made is not None
    _, loss = quantize_columns(W.clone(), made, TENTHS, 128)
    assert float(loss) * 2 * made.mean_diagonal == pytest.approx((0.062418**2 + 0.136867**2 + 0.105925**2) / 2, rel=1e-5)
    # The update moves the last column by −0.530418 + 0.57; one that comes to lie on −0.5 adds nothing.
    exact = W.clone()
    exact[0, 2] += 0.530418 - 0.5
    _, loss = quantize_columns(exact, made, TENTHS, 128)
    assert float(loss) * 2 * made.mean_diagonal == pytest.approx((0.062418**2 + 0.136867**2) / 2, rel=1e-4)


def test_what_the_last_column_is_changes_no_other() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(500, 64, generator=generator, dtype=torch.float64) @ torch.randn(64, 64, generator=generator, dtype=torch.float64)
    statistics = Statistics(inputs.t() @ inputs, 500)
    weight = torch.randn(16, 64, generator=generator)
    weight[:, 0] = 4  # the largest of each row, so that the grid stays
    changed = weight.clone()
    changed[:, -1] = -weight[:, -1]
    first, second = (gptq(one, statistics, SYMMETRIC, GptqArguments(actorder="none")).codes for one in (weight, changed))
    assert torch.equal(first[:, :-1], second[:, :-1]) and not torch.equal(first[:, -1], second[:, -1])


def test_a_zero_point_that_was_rounded_first_ends_where_one_that_was_not_does() -> None:
    """HQQ's step from z = 9 and from 9.130435: after the first the error is smaller, after the second larger, and then nothing changes."""
    scale = torch.tensor([[2.3 / 15]], dtype=torch.float64)
    for start, before in ((9.0, 0.0325), (9.130435, 0.0225)):
        zero, means = torch.tensor([[start]], dtype=torch.float64), []
        for _ in range(3):
            codes = (ROW / scale + zero).round().clamp(0, 15)
            difference = ROW - (codes - zero) * scale
            means.append(float(difference.abs().mean()))
            assert codes.tolist() == [[15, 7, 10, 0]] and not bool(outliers(difference, 0.7, 10).any())
            zero = zero_step(ROW, codes, scale)
        assert means == pytest.approx([before, 0.027917, 0.027917], abs=1e-6)
        assert float(zero) == pytest.approx(9.059783, abs=1e-6)


def test_weights_that_are_not_rounded_lose_nothing_at_any_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWQ's search with 16 bits instead of 4: a scale and its inverse cancel."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 64, generator=generator)
    statistics = statistics_of([torch.randn(500, 64, generator=generator) * torch.exp(torch.randn(64, generator=generator))])
    statistics.fold = lambda scale: scale
    kind, compared, seen = WeightFormat(4, group_size=32), awq.compared_energy, []

    def watched(difference: torch.Tensor, gram: torch.Tensor) -> float:
        seen.append(compared(difference, gram))
        return seen[-1]

    monkeypatch.setattr(awq, "compared_energy", watched)
    awq.search_scale(weight, statistics, kind, 20, True)
    signal, rounded = compared(weight, statistics.gram), list(seen)
    seen.clear()
    monkeypatch.setattr(awq, "encode", lambda values, _: values)
    monkeypatch.setattr(awq, "decode", lambda values, _: values)
    awq.search_scale(weight, statistics, kind, 20, True)
    assert len(seen) == len(rounded) == 20
    assert max(seen) < 1e-12 * signal and min(rounded) > 1e-4 * signal


def test_ranges_of_one_sign_and_other_strengths_of_smoothing() -> None:
    """llm-compressor's statistic: larger by 2^(2α−1), and of inputs from 0 to a smaller by √2 at α = ½."""
    weight = torch.tensor([[0.5, -2.0, 0.25]])
    both = statistics_of([torch.tensor([[16.0, -1.0, 4.0], [-16.0, 1.0, -4.0]])])
    ratio = smoothing_scale(weight, both, 0.8, "range") / smoothing_scale(weight, both, 0.8)
    assert ratio.tolist() == pytest.approx([1.516] * 3, abs=1e-3)
    one = statistics_of([torch.tensor([[16.0, 1.0, 4.0], [0.0, 0.0, 0.0]])])
    ratio = smoothing_scale(weight, one, 0.5) / smoothing_scale(weight, one, 0.5, "range")
    assert ratio.tolist() == pytest.approx([2**0.5] * 3)


E4M3 = {0.1: 0x1D, 0.3: 0x2A, 17: 0x58, 19: 0x5A, 240: 0x77, 447: 0x7E, 500: 0x7E, -3.3: 0xC5, 2**-9: 0x01, 2**-10: 0, 1.5 * 2**-10: 1}


def test_bytes_of_e4m3() -> None:
    kind = WeightFormat(8, type="float", group_size=None, layout="float-quantized")
    grid = Grid(kind, torch.ones(1, 1))
    codes = encode(torch.tensor([list(E4M3)], dtype=torch.float32), grid)
    stored = checkpoint_tensors("x", Quantized(codes, grid, Report()))["x.weight"]
    assert stored.dtype == torch.float8_e4m3fn and stored.view(torch.uint8)[0].tolist() == list(E4M3.values())


@pytest.mark.parametrize("name", ["W4A16", "W8A16", "W3A16"])
def test_no_symmetric_weight_is_beyond_half_the_codes(name: str) -> None:
    kind = SCHEMES[name].weights.with_group_size(32)
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    done = rtn(weight, None, kind, RtnArguments())
    tensors = checkpoint_tensors("x", done)
    assert "x.weight_zero_point" not in tensors
    codes = unpack(tensors["x.weight_packed"], kind.num_bits, 64).float()
    limit = 2 ** (kind.num_bits - 1) * tensors["x.weight_scale"].float()
    found = (codes.reshape(32, 2, 32) * tensors["x.weight_scale"].unsqueeze(-1)).abs().amax(-1)
    assert bool((found <= limit).all()) and bool((found == limit).any())
    assert torch.equal(decode(encode(weight, done.grid), done.grid).reshape(32, 2, 32).abs().amax(-1), found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_of_a_layer_of_4096(layout: str) -> None:
    """Codes 8,388,608 bytes, scales 262,144, zero points 65,536, the order of columns 16,384."""
    found = LayerFormat("layer", 4096, 4096, 4, 128, False)
    codes, zeros = torch.zeros(4096, 4096, dtype=torch.int8), torch.zeros(4096, 32, dtype=torch.int8)
    parts = LAYOUTS[layout].write(Layer(found, codes, torch.ones(4096, 32, dtype=torch.float16), zeros))
    expected = [8_388_608, 262_144, 65_536] + ([16_384] if "g_idx" in parts else [])
    assert sorted(tensor.nbytes for name, tensor in parts.items() if name != "weight_shape") == sorted(expected)
