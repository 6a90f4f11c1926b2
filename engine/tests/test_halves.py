"""Products of 16-bit matrices in float32: rounded once, like torch's own, on whatever CPU the tests run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from quant_engine.linalg import halves

KINDS = [torch.bfloat16, torch.float16]
F = torch.nn.functional


@pytest.fixture(autouse=True)
def no_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "_has_units", lambda kind: False)  # noqa: ARG005


def matrices(kind: torch.dtype, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(kind) for shape in shapes]


def assert_rounded_once(found: Tensor, exact: Tensor, kind: torch.dtype) -> None:
    """Half a unit in the last place of the sum, and what float32 sums may be off before."""
    assert found.dtype == kind
    unit = torch.finfo(kind).eps / 2
    assert bool(((found.double() - exact).abs() <= unit * exact.abs() + 1e-4).all())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_linear_layer(kind: torch.dtype, with_bias: bool) -> None:
    # More rows than are copied at once, in a tensor of three dimensions.
    X, W, b = matrices(kind, (3, 700, 96), (64, 96), (64,))
    with halves.in_float32(), torch.no_grad():
        found = F.linear(X, W, b if with_bias else None)
    exact = X.double() @ W.double().t() + (b.double() if with_bias else 0)
    assert found.shape == (3, 700, 64)
    assert_rounded_once(found, exact, kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("product", [torch.matmul, torch.Tensor.matmul, torch.bmm, lambda X, Y: X @ Y])
def test_products_of_batches(kind: torch.dtype, product: Callable[[Tensor, Tensor], Tensor]) -> None:
    X, Y = matrices(kind, (4, 200, 96), (4, 96, 80))
    with halves.in_float32():
        found = product(X, Y)
    assert_rounded_once(found, X.double() @ Y.double(), kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_pass_through(kind: torch.dtype) -> None:
    X, W, upstream = matrices(kind, (800, 96), (64, 96), (800, 64))
    X.requires_grad_()
    with halves.in_float32():
        after = F.linear(X, W)
    (found,) = torch.autograd.grad(after, [X], upstream)
    assert_rounded_once(found, upstream.double() @ W.double(), kind)


def test_small_ones_and_other_dtypes_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    small, W = matrices(torch.bfloat16, (2, 96), (64, 96))
    plain = F.linear(small, W), F.linear(small.expand(50, 2, 96).float(), W.float())
    monkeypatch.setattr(torch.Tensor, "float", lambda self: pytest.fail("nothing is copied to float32"))
    with halves.in_float32():
        found = F.linear(small, W), F.linear(small.expand(50, 2, 96).to(torch.float32), W.to(torch.float32))
    assert all(torch.equal(one, other) for one, other in zip(plain, found, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_where_torch_has_a_way_nothing_changes(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "_has_units", lambda asked: asked == kind)
    X, W = matrices(kind, (5000, 96), (64, 96))
    assert not halves._is_slow(X, W, 64)
    X, W = matrices(next(one for one in KINDS if one != kind), (5000, 96), (64, 96))
    assert halves._is_slow(X, W, 64)
