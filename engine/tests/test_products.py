"""Exact products with float32 sums: MKL's, where the CPU has them, and torch's own beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quant_engine.linalg import mkl
from quant_engine.linalg.products import add_products


def factors(tokens: int, columns: int, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(tokens * columns)
    X, Y = torch.randn(2, tokens, columns, generator=generator)
    X[:, 3] *= 400
    return X.to(dtype), Y.to(dtype)


@pytest.fixture(params=["as it is", "without MKL"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without MKL":
        monkeypatch.setattr(mkl, "_product", lambda: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize(("tokens", "columns", "panel"), [(1, 8, 512), (37, 40, 16), (5000, 96, 64), (4096, 130, 512)])
def test_sums_are_those_of_float64(tokens: int, columns: int, panel: int, dtype: torch.dtype) -> None:
    X, Y = factors(tokens, columns, dtype)
    found = torch.ones(columns, columns)
    add_products(found, X, Y, panel, upper=False)
    exact = X.double().t() @ Y.double() + 1
    bound = X.double().abs().t() @ Y.double().abs() + 1
    assert float(((found - exact).abs() / bound).max()) < 2e-6
    upper = torch.zeros(columns, columns)
    add_products(upper, X, X, panel, upper=True)
    exact = X.double().t() @ X.double()
    bound = X.double().abs().t() @ X.double().abs()
    assert float((((upper - exact).abs() / bound).triu()).max()) < 2e-6


@pytest.mark.usefixtures("way")
def test_a_part_of_a_wider_matrix_is_read_and_added_to_as_such() -> None:
    X, Y = factors(300, 64)
    whole = torch.zeros(64, 64)
    add_products(whole[8:24, 16:48], X[10:290, 8:24], Y[10:290, 16:48], 16, upper=False)
    exact = X[10:290, 8:24].double().t() @ Y[10:290, 16:48].double()
    assert torch.allclose(whole[8:24, 16:48].double(), exact, rtol=1e-5, atol=1e-2)
    whole[8:24, 16:48] = 0
    assert not bool(whole.any())


def test_what_mkl_does_not_take_is_left_to_torch() -> None:
    X, Y = factors(64, 32)
    assert not mkl.can_multiply(X.t(), Y) and not mkl.can_multiply(X.float(), Y)
    assert mkl.can_multiply(X, Y) == (mkl._product() is not None)
    with pytest.raises(ValueError, match="do not fit"):
        mkl.add_products(torch.zeros(31, 32), X, Y)


@pytest.mark.skipif(mkl._product() is None, reason="this CPU has no bfloat16 matrix units, or torch no MKL")
def test_mkl_gives_the_same_bits_each_time() -> None:
    X, Y = factors(4096, 256)
    first, again = torch.zeros(2, 256, 256)
    add_products(first, X, Y, 128, upper=False)
    add_products(again, X.clone(), Y.clone(), 128, upper=False)
    assert torch.equal(first, again)
