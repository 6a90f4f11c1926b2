"""Outputs that were computed for the record go on to the passes, which do not multiply again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tiny
from quant_engine import handed
from quant_engine.architectures.decoder import open_model
from quant_engine.checkpoint import Checkpoint
from quant_engine.handed import Collected, withdraw
from quant_engine.lockstep import Lockstep
from quant_engine.uses import parse_short
from quant_engine.walk import quantize
from tiny import save_tiny


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu()).relu()


def module() -> Two:
    torch.manual_seed(0)
    return Two().requires_grad_(False)


def collected(layer: nn.Linear, inputs: list[torch.Tensor]) -> Collected:
    """Twice what the layer itself would give, without its bias, in pieces."""
    found = Collected(layer, inputs)
    for number, X in enumerate(inputs):
        for rows in X.reshape(-1, X.shape[-1]).split(3):
            found.take(number, 2 * rows @ layer.weight.t())
    return found


def test_passes_go_on_with_what_was_handed_over_and_the_layer_computes_again_afterwards() -> None:
    two, xs = module(), [torch.randn(2, 4, 3), torch.randn(1, 2, 3)]
    expected = [(2 * two.first(x).relu() @ two.second.weight.t() + two.second.bias).relu() for x in xs]
    walk = Lockstep([[two.second]], [lambda x=x: two(x) for x in xs])
    for calls in walk:
        inputs = [given for (given,) in calls]
        collected(two.second, inputs).hand_over()
        # Nobody is to need them any more.
        assert all(X.untyped_storage().nbytes() == 0 for X in inputs)
    for output, one in zip(walk.outputs, expected, strict=True):
        torch.testing.assert_close(output, one)
    assert torch.equal(two(xs[0]), two.second(two.first(xs[0]).relu()).relu())


def test_what_is_withdrawn_is_computed_and_another_order_is_refused() -> None:
    two, xs = module(), [torch.randn(2, 4, 3), torch.randn(1, 2, 3)]
    collected(two.second, [torch.randn(2, 4, 5)]).hand_over()
    withdraw(two.modules())
    assert torch.equal(two(xs[0]), two.second(two.first(xs[0]).relu()).relu())
    walk = Lockstep([[two.second]], [lambda x=x: two(x) for x in xs])
    with pytest.raises(RuntimeError, match="another order"):
        for _ in walk:
            collected(two.second, [torch.randn(1, 2, 5), torch.randn(2, 4, 5)]).hand_over()


class Pieces:
    def put(self, piece: str, tensors: dict[str, torch.Tensor]) -> None: ...


SINGLE = [("llama", "o_proj"), ("llama", "down_proj"), ("opt", "fc2"), ("opt", "out_proj"), ("gpt_neox", "attention.dense")]


@pytest.mark.parametrize(("architecture", "layer"), SINGLE)
@pytest.mark.parametrize("short", ["smoothquant-w8a8", "rtn-w8a8", "rtn-w4a16-g32", "rtn-nvfp4"])
def test_a_walk_sees_what_the_layer_would_have_computed(
    tmp_path: Path, architecture: str, layer: str, short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One layer alone: behind it a rounding may go the other way for a sum in another order."""
    folder = save_tiny(tmp_path / "model", architecture, dtype=torch.float32)

    def hidden() -> torch.Tensor:
        model = open_model(Checkpoint.open(folder))
        assignment = {linear.name: parse_short(short) for linear in model.linears if linear.block == 0 and linear.name.endswith(layer)}
        walk: Any = quantize(model, tiny.tokens(3), assignment, Pieces())  # type: ignore[arg-type]
        return torch.cat([state.clone() for state in next(walk).hidden])

    over: list[Collected] = []
    hand_over = Collected.hand_over

    def counted(self: Collected) -> None:
        over.append(self)
        hand_over(self)

    monkeypatch.setattr(Collected, "hand_over", counted)
    found = hidden()
    assert len(over) == 1
    monkeypatch.setattr(Collected, "hand_over", lambda self: None)
    monkeypatch.setattr(handed, "free", lambda tensor: None)
    torch.testing.assert_close(found, hidden(), rtol=1e-5, atol=1e-5)
