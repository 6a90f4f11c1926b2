"""Groups whose scales GPTQ finds when it reaches them, against a float64 twin, and the order that keeps groups together."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from quant_engine.formats.grid import decode, encode, find_grid
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.linalg.factor import factor
from quant_engine.methods.gptq import GptqArguments, gptq
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.methods.types import Statistics
from quant_engine.sensitivity import energies
from test_gptq import problem

Order = Literal["weight", "none"]
KINDS = [
    WeightFormat(4, symmetric=False, group_size=32), WeightFormat(3, symmetric=False, group_size=64), SCHEMES["NVFP4"].weights,
    SCHEMES["MXFP4"].weights,
]  # fmt: skip


def arguments(order: Order, block_size: int = 128) -> GptqArguments:
    return GptqArguments(actorder=order, groups="dynamic", block_size=block_size)


def order_of(diagonal: Tensor, size: int) -> list[int]:
    """Groups by their largest entry, columns of each by theirs, written with sorts of plain numbers."""
    values = diagonal.tolist()
    groups = [sorted(range(start, start + size), key=lambda column: -values[column]) for start in range(0, len(values), size)]
    return [column for group in sorted(groups, key=lambda group: -values[group[0]]) for column in group]


def twin(weight: Tensor, gram: Tensor, kind: WeightFormat, ordered: bool, clip: Tensor | None = None) -> Tensor:
    """Algorithm 1 in float64, one column and one row of updates at a time, each group's grid from the weights as they then are, without
    what lies beyond a share `clip` (out × groups) of the largest; what the codes stand for. The grids of single groups are the engine's,
    which are compared with compressed-tensors elsewhere."""
    W, columns, size = weight.double(), weight.shape[1], kind.group_size or weight.shape[1]
    order = torch.tensor(order_of(gram.diagonal(), size)) if ordered else torch.arange(columns)
    H = 2 * gram.double()
    whole = find_grid(W, kind, torch.float32)
    W, H = W[:, order], H[order][:, order]
    H = H + 0.01 * H.diagonal().mean() * torch.eye(columns, dtype=torch.float64)
    U = torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
    result = torch.empty_like(W)
    steps = zeros = torch.empty(0)
    for j in range(columns):
        if j % size == 0:
            group = W[:, j : j + size]
            if clip is not None:
                limit = group.abs().amax(1, keepdim=True) * clip[:, order[j] // size].double().unsqueeze(1)
                group = group.clamp(-limit, limit)
            grid = find_grid(group, kind, torch.float32, factor=whole.factor)
            steps = grid.steps(len(W), torch.float64)
            zeros = torch.zeros_like(steps) if grid.zeros is None else grid.zeros.double()
        scaled = W[:, j : j + 1] / steps + zeros
        if kind.type == "int":
            lowest, highest = kind.code_range
            codes = scaled.round().clamp(lowest, highest)
        else:
            levels = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float64)
            codes = levels[(scaled.abs() - levels).abs().argmin(1)].unsqueeze(1) * scaled.sign()
        result[:, order[j]] = ((codes - zeros) * steps)[:, 0]
        error = (W[:, j] - result[:, order[j]]) / U[j, j]
        W[:, j:] -= error[:, None] * U[j, j:][None, :]
    return result


@pytest.mark.parametrize("order", ["weight", "none"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_weights_equal_the_float64_twin(kind: WeightFormat, order: Order):
    weight, statistics = problem(columns=256, rows=96, dtype=torch.float32)
    done = gptq(weight, statistics, kind, arguments(order))
    steps = done.grid.steps(96, torch.float64)
    zeros = torch.zeros_like(steps) if done.grid.zeros is None else done.grid.zeros.double()
    width = done.grid.width(256)
    unit = 2 if kind.type == "float" else 1
    ours = (done.codes.double() / unit - zeros.repeat_interleave(width, 1)) * steps.repeat_interleave(width, 1)
    expected = twin(weight, statistics.gram, kind, order == "weight")
    same = (ours - expected).abs() < 1e-4 * steps.repeat_interleave(width, 1)
    assert float(same.double().mean()) >= 0.995


@pytest.mark.parametrize("order", ["weight", "none"])
def test_symmetric_groups_lose_what_the_twin_loses(order: Order):
    """The most negative weight of a symmetric group lies on a tie, so codes depend on float noise and only sums can be compared."""
    weight, statistics = problem(columns=256, rows=192, dtype=torch.float32)
    kind = WeightFormat(4, group_size=32)
    done = gptq(weight, statistics, kind, arguments(order)).dequantize()
    expected = twin(weight, statistics.gram, kind, order == "weight")
    lost = [energies(one.double() - weight.double(), statistics.gram, [192])[0] for one in (done, expected)]
    assert lost[0] == pytest.approx(lost[1], rel=0.02)


def test_the_order_keeps_groups_together_and_begins_with_the_strongest():
    _, statistics = problem()
    found = factor(statistics, 0.01, True, 32)
    assert found is not None and found.order is not None
    assert found.order.tolist() == order_of(statistics.gram.diagonal(), 32)
    assert all(len(set(group)) == 1 for group in (found.order.reshape(-1, 32) // 32).tolist())
    for width in (1, 192):
        plain = factor(statistics, 0.01, True, width)
        assert plain is factor(statistics, 0.01, True)


@pytest.mark.parametrize("order", ["weight", "none"])
def test_block_size_changes_nothing_but_float_noise(order: Order):
    """Not even within a group: a block may end in the middle of one."""
    weight, statistics = problem(dtype=torch.float32)
    kind = WeightFormat(4, symmetric=False, group_size=32)
    results = [gptq(weight, statistics, kind, arguments(order, size)).codes for size in (1, 7, 48, 192)]
    for other in results[1:]:
        assert float((results[0] == other).double().mean()) >= 0.995


def test_without_updates_groups_are_those_of_rounding_to_nearest():
    weight, _ = problem()
    statistics = Statistics(torch.diag(torch.rand(192, dtype=torch.float64) + 0.1), 100)
    for kind in KINDS:
        done, plain = gptq(weight, statistics, kind, arguments("weight")), rtn(weight, None, kind, RtnArguments())
        assert torch.equal(done.codes, plain.codes) and torch.equal(done.grid.scales, plain.grid.scales)


@pytest.mark.parametrize("kind", [WeightFormat(4, group_size=None), SCHEMES["W8A8"].weights], ids=str)
def test_one_scale_for_a_row_is_found_before_anything_is_updated(kind: WeightFormat):
    weight, statistics = problem()
    done, static = gptq(weight, statistics, kind, arguments("weight")), gptq(weight, statistics, kind, GptqArguments())
    assert torch.equal(done.codes, static.codes) and torch.equal(done.grid.scales, static.grid.scales)


def test_groups_cover_the_weights_as_they_were_when_their_turn_came():
    """A last group that much error has reached is found for what it has become: fewer of its weights are cut off than with old scales."""
    weight, statistics = problem(dtype=torch.float32)
    kind = WeightFormat(3, symmetric=False, group_size=32)
    done, static = (gptq(weight, statistics, kind, GptqArguments(actorder="none", groups=groups)) for groups in ("dynamic", "static"))
    assert torch.equal(done.grid.scales[:, 0], static.grid.scales[:, 0])
    assert not torch.equal(done.grid.scales[:, 1:], static.grid.scales[:, 1:])
    at_ends = [float(((one.codes[:, 32:] == -4) | (one.codes[:, 32:] == 3)).double().mean()) for one in (done, static)]
    assert at_ends[0] < at_ends[1]


def test_codes_decode_to_what_is_stored():
    weight, statistics = problem()
    for kind in KINDS:
        done = gptq(weight, statistics, kind, arguments("weight"))
        assert torch.equal(encode(decode(done.codes, done.grid).float(), done.grid), done.codes)
