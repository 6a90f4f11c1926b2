"""Compiled loops give the bits of torch's operations, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from quant_engine import compiled
from quant_engine.formats.grid import Grid, decode, encode, find_grid
from quant_engine.formats.inputs import InputQuantizer
from quant_engine.formats.packing import pack
from quant_engine.formats.scheme import SCHEMES, InputFormat, WeightFormat

pytest.importorskip("numba")
ROWS, COLUMNS = 256, 2176
FORMATS = {
    f"{name}-{size or 'channel'}": replace(SCHEMES[name].weights, group_size=size)
    for name in ("W2A16", "W3A16", "W4A16", "W8A16", "W4A16_ASYM", "W8A16_ASYM")
    for size in (32, 128, None)
} | {name: SCHEMES[name].weights for name in ("W8A8", "FP8", "FP8_DYNAMIC", "FP8_BLOCK")}
INPUTS = {name: SCHEMES[name].inputs for name in ("W8A8", "W4A8", "FP8_DYNAMIC")}


@pytest.fixture(autouse=True)
def loops() -> None:
    compiled.warm_for([compiled.LEAST])


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """torch's operations, until it is undone."""
    monkeypatch.setattr(compiled, "LEAST", 1 << 60)
    yield monkeypatch


def weights() -> Tensor:
    """Rows of very different size, all zero, partly zero, with ties between two codes, and the smallest numbers there are."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.rand(ROWS, 1, generator=generator).mul(8).sub(6).exp()
    W = (torch.randn(ROWS, COLUMNS, generator=generator) * sizes).to(torch.bfloat16)
    W[3], W[5, :192] = 0, 0
    W[7] = torch.arange(COLUMNS).remainder(31).sub(15).to(torch.bfloat16) / 4
    W[9] *= 1e-37
    W[11] *= 1e30
    return W


@pytest.mark.parametrize("name", FORMATS)
def test_codes_and_noise(name: str, without: pytest.MonkeyPatch) -> None:
    W, kind = weights(), FORMATS[name]
    grid = find_grid(W, kind, torch.bfloat16)
    codes = encode(W, grid)
    errors = decode(codes, grid).double() - W.double()
    without.undo()
    again = find_grid(W, kind, torch.bfloat16)
    found = compiled.encoded(W, grid)
    assert found is not None and found.dtype == codes.dtype
    assert torch.equal(found.view(torch.uint8), codes.view(torch.uint8))
    assert torch.equal(again.scales.view(torch.int16), grid.scales.view(torch.int16))
    some = [row for row in range(ROWS) if row != 11]  # whose squares are beyond float32
    noise = compiled.noise(W[some], codes[some], _rows(grid, some))
    assert noise == pytest.approx(float(errors[some].square().sum()), rel=1e-6)


def _rows(grid: Grid, some: list[int]) -> Grid:
    if grid.weight_format.block or grid.weight_format.per_tensor:
        steps = grid.steps(ROWS, torch.float32)[some].to(torch.bfloat16)
        return replace(grid, weight_format=replace(grid.weight_format, block=None, per_tensor=False, group_size=_width(grid)), scales=steps)
    return replace(grid, scales=grid.scales[some], zeros=None if grid.zeros is None else grid.zeros[some])


def _width(grid: Grid) -> int | None:
    return grid.weight_format.block[1] if grid.weight_format.block else None


def test_e4m3_of_every_bfloat16(without: pytest.MonkeyPatch) -> None:
    """All finite numbers, whose quotients by 1 are themselves."""
    patterns = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    patterns = patterns[torch.isfinite(patterns)]
    W = patterns[: len(patterns) // 256 * 256].reshape(256, -1).repeat(1, 16).contiguous()
    kind = WeightFormat(8, type="float", group_size=None, layout="float-quantized")
    grid = Grid(kind, torch.ones(256, 1, dtype=torch.bfloat16))
    codes = encode(W, grid)
    without.undo()
    found = compiled.encoded(W, grid)
    assert found is not None and torch.equal(found.view(torch.uint8), codes.view(torch.uint8))


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", INPUTS)
def test_rounded_inputs(name: str, smooth: bool, without: pytest.MonkeyPatch) -> None:
    kind = INPUTS[name]
    assert isinstance(kind, InputFormat)
    generator = torch.Generator().manual_seed(1)
    X = (torch.randn(2, 256, 1088, generator=generator) * torch.rand(1088, generator=generator).mul(4).exp()).to(torch.bfloat16)
    X[0, 0], X[0, 1], X[0, 2] = 0, X[0, 1] * 1e-38, X[0, 2] * 1e30
    quantizer = InputQuantizer(kind, None, torch.rand(1088, generator=generator) + 0.3 if smooth else None)
    wanted = quantizer(X), quantizer.scaled(X)
    without.undo()
    for expected, scaled in zip(wanted, (False, True), strict=True):
        found = compiled.rounded_inputs(X, quantizer, scaled)
        assert found is not None and torch.equal(found.view(torch.int16), expected.view(torch.int16))


@pytest.mark.parametrize("bits", [2, 4])
def test_packed(bits: int, without: pytest.MonkeyPatch) -> None:
    half = 1 << (bits - 1)
    codes = torch.randint(-half, half, (257, 2080), dtype=torch.int8, generator=torch.Generator().manual_seed(2))
    wanted = pack(codes, bits)
    without.undo()
    found = compiled.packed(codes, bits)
    assert found is not None and torch.equal(found, wanted)


def test_energy() -> None:
    W = weights()[:11].repeat(23, 1)
    assert compiled.energy(W) == pytest.approx(float(W.double().square().sum()), rel=1e-6)


def test_what_they_are_not_for(without: pytest.MonkeyPatch) -> None:
    assert compiled.energy(weights()) is None
    without.undo()
    assert compiled.energy(weights().float()) is None
    assert compiled.energy(weights()) is not None
