"""GPTQ whose groups are made in processing order (`actorder: group`), against a float64 twin, and grids whose columns have an order."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from quant_engine.formats.grid import Grid, decode, encode, find_grid
from quant_engine.formats.scheme import WeightFormat
from quant_engine.methods.gptq import GptqArguments, gptq
from quant_engine.methods.types import Quantized, Statistics
from quant_engine.sensitivity import energies
from test_gptq import problem

Groups = Literal["static", "dynamic"]
KINDS = [
    WeightFormat(4, group_size=32), WeightFormat(3, group_size=64), WeightFormat(8), WeightFormat(4, symmetric=False, group_size=64),
]  # fmt: skip
ASYMMETRIC = [WeightFormat(4, symmetric=False, group_size=32), WeightFormat(3, symmetric=False, group_size=64)]


def arguments(groups: Groups = "static", block_size: int = 128) -> GptqArguments:
    return GptqArguments(actorder="group", groups=groups, block_size=block_size)


def scales_and_zeros(group: Tensor, kind: WeightFormat, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Of one group (rows × columns), both (rows,) float64."""
    top = 2**kind.num_bits - 1
    if kind.symmetric:
        scales = (group.abs().amax(1).float() / (top / 2)).to(dtype).double()
        return scales, torch.zeros_like(scales)
    low, high = group.amin(1).clamp(max=0).float(), group.amax(1).clamp(min=0).float()
    scales = ((high - low) / top).to(dtype).double()
    return scales, (-(top + 1) / 2 - low.double() / scales).round()


def twin(weight: Tensor, gram: Tensor, kind: WeightFormat, groups: Groups) -> tuple[Tensor, Tensor]:
    """The reference's desc_act in float64: everything is permuted first, and groups are consecutive columns of what that gives. Codes and
    what they stand for, in the layer's own order."""
    columns, size = weight.shape[1], kind.group_size or weight.shape[1]
    diagonal = gram.diagonal().tolist()
    order = torch.tensor(sorted(range(columns), key=lambda column: -diagonal[column]))
    W, H = weight.double()[:, order], 2 * gram.double()[order][:, order]
    grids = [scales_and_zeros(part, kind, weight.dtype) for part in W.split(size, 1)]
    H = H + 0.01 * H.diagonal().mean() * torch.eye(columns, dtype=torch.float64)
    U = torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
    half = 2 ** (kind.num_bits - 1)
    codes, values = torch.empty_like(W), torch.empty_like(W)
    for j in range(columns):
        if groups == "dynamic" and j % size == 0:
            grids[j // size] = scales_and_zeros(W[:, j : j + size], kind, weight.dtype)
        s, z = grids[j // size]
        q = (W[:, j] / s + z).round().clamp(-half, half - 1)
        codes[:, order[j]], values[:, order[j]] = q, (q - z) * s
        W[:, j:] -= ((W[:, j] - (q - z) * s) / U[j, j])[:, None] * U[j, j:][None, :]
    return codes, values


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_codes_equal_the_float64_twin(kind: WeightFormat):
    weight, statistics = problem(columns=256, rows=192)
    done = gptq(weight, statistics, kind, arguments())
    codes, values = twin(weight, statistics.gram, kind, "static")
    assert float((done.codes == codes).double().mean()) >= 0.999
    exact = Grid(kind, done.grid.scales.double(), done.grid.zeros, order=done.grid.order)
    assert float((decode(done.codes, exact) == values).double().mean()) >= 0.999


@pytest.mark.parametrize("kind", ASYMMETRIC, ids=str)
def test_codes_of_dynamic_groups_equal_the_float64_twin(kind: WeightFormat):
    weight, statistics = problem(columns=256, rows=192)
    done = gptq(weight, statistics, kind, arguments("dynamic"))
    codes, _ = twin(weight, statistics.gram, kind, "dynamic")
    assert float((done.codes == codes).double().mean()) >= 0.999


def test_symmetric_dynamic_groups_lose_what_the_twin_loses():
    """The most negative weight of a symmetric group lies on a tie, so codes depend on float noise and only sums can be compared."""
    weight, statistics = problem(columns=256, rows=192, dtype=torch.float32)
    done = gptq(weight, statistics, KINDS[0], arguments("dynamic")).dequantize()
    _, expected = twin(weight, statistics.gram, KINDS[0], "dynamic")
    lost = [energies(one.double() - weight.double(), statistics.gram, [192])[0] for one in (done, expected)]
    assert lost[0] == pytest.approx(lost[1], rel=0.02)


@pytest.mark.parametrize("groups", ["static", "dynamic"])
def test_groups_are_consecutive_in_processing_order(groups: Groups):
    weight, statistics = problem()
    order = gptq(weight, statistics, KINDS[0], arguments(groups)).grid.order
    assert order is not None and order.dtype == torch.int32
    ranked = sorted(range(192), key=lambda column: -statistics.gram.diagonal().tolist()[column])
    assert [int(order[column]) for column in ranked] == [place // 32 for place in range(192)]


def test_where_the_strongest_columns_come_first_already_nothing_changes():
    weight, statistics = problem()
    strongest = torch.argsort(statistics.gram.diagonal(), descending=True)
    weight, seen = weight[:, strongest], Statistics(statistics.gram[strongest][:, strongest], 1)
    for groups in ("static", "dynamic"):
        ordered = gptq(weight, seen, KINDS[0], GptqArguments(actorder="group", groups=groups))
        plain = gptq(weight, seen, KINDS[0], GptqArguments(actorder="none", groups=groups))
        assert torch.equal(ordered.codes, plain.codes) and torch.equal(ordered.grid.scales, plain.grid.scales)
        assert ordered.grid.order is not None and torch.equal(ordered.grid.order, torch.arange(192, dtype=torch.int32) // 32)


@pytest.mark.parametrize("kind", [WeightFormat(4, group_size=None), WeightFormat(4, group_size=192)], ids=str)
def test_one_group_has_no_order(kind: WeightFormat):
    weight, statistics = problem()
    done, static = gptq(weight, statistics, kind, arguments()), gptq(weight, statistics, kind, GptqArguments())
    assert done.grid.order is None
    assert torch.equal(done.codes, static.codes) and torch.equal(done.grid.scales, static.grid.scales)


@pytest.mark.parametrize("groups", ["static", "dynamic"])
def test_block_size_changes_nothing_but_float_noise(groups: Groups):
    weight, statistics = problem(dtype=torch.float32)
    results = [gptq(weight, statistics, ASYMMETRIC[0], arguments(groups, size)).codes for size in (1, 7, 48, 192)]
    for other in results[1:]:
        assert float((results[0] == other).double().mean()) >= 0.995


def test_columns_of_one_strength_share_a_scale_and_lose_less():
    """Weights are small where inputs are large, as in networks with outlier channels: groups of one strength are groups of one size."""
    weight, statistics = problem(columns=256, rows=192, dtype=torch.float32)
    weight = weight / statistics.gram.diagonal().sqrt().float() * 100
    kind = WeightFormat(3, group_size=32)
    every = [gptq(weight, statistics, kind, GptqArguments(actorder=order)).dequantize() for order in ("group", "weight")]
    lost = [energies(one - weight, statistics.gram, [192])[0] for one in every]
    assert lost[0] < 0.7 * lost[1]


def test_what_cannot_be_inverted_falls_back_to_groups_where_they_are():
    weight, statistics = problem()
    done = gptq(weight, Statistics(torch.zeros_like(statistics.gram), 1), KINDS[0], arguments())
    assert done.report.applied == "rtn" and done.grid.order is None


def test_a_grid_in_order_encodes_decodes_and_adds_up_as_the_permuted_one():
    weight, _ = problem()
    places = torch.randperm(192, generator=torch.Generator().manual_seed(3))
    order = torch.empty(192, dtype=torch.int32)
    order[places] = torch.arange(192, dtype=torch.int32) // 64
    # Within a group columns are in their own order, whatever the one in which they were processed.
    sorted_places = torch.tensor(sorted(range(192), key=lambda column: int(order[column])))
    for kind in (WeightFormat(4, group_size=64), WeightFormat(4, symmetric=False, group_size=64)):
        plain = find_grid(weight[:, sorted_places], kind, weight.dtype)
        ordered = Grid(kind, plain.scales, plain.zeros, order=order)
        codes = encode(weight, ordered)
        assert torch.equal(codes[:, sorted_places], encode(weight[:, sorted_places], plain))
        assert torch.equal(decode(codes, ordered)[:, sorted_places], decode(codes[:, sorted_places], plain))
        assert torch.equal(encode(decode(codes, ordered), ordered), codes)
        assert torch.equal(ordered.gather(weight.float()), plain.gather(weight.float()[:, sorted_places]))


def test_stacked_rows_keep_the_order():
    weight, statistics = problem()
    whole = gptq(weight, statistics, KINDS[0], arguments())
    parts = [whole.rows(0, 40), whole.rows(40, 96)]
    assert all(part.grid.order is whole.grid.order for part in parts)
    again = Quantized.stack(parts)
    assert again.grid.order is whole.grid.order
    assert torch.equal(again.dequantize(), whole.dequantize())
    assert torch.equal(torch.cat([part.dequantize() for part in parts]), whole.dequantize())
