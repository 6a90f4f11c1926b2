"""Memory of a stopped pass is freed only where nothing reads it any more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from quant_engine.architectures.decoder import open_model
from quant_engine.architectures.liveness import Held, dead_from, read_once
from quant_engine.checkpoint import Checkpoint
from tiny import save_tiny

# For the block's input and the input of each stop the first stop at which it is dead; the last number: never.
EXPECTED = {
    # Stops: qkv, o, gate and up, down. The residual stream replaces the input after o.
    "llama": [2, 1, 2, 3, 4],
    "gemma2": [2, 1, 2, 3, 4],
    "phi3": [2, 1, 2, 3, 4],
    # Stops: qkv, out, fc1, fc2.
    "opt": [2, 1, 2, 3, 4],
    # Attention and MLP side by side on one input (stops: qkv, dense, up, down).
    "gpt_neox": [4, 1, 2, 3, 4],
    # What is routed to experts is looked at again: nothing is freed.
    "mixtral": [3, 3, 3, 3],
}

# The stops whose single layer nobody else reads the input of.
ALONE = {"llama": [1, 3], "gemma2": [1, 3], "phi3": [0, 1, 2, 3], "opt": [1, 2, 3], "gpt_neox": [0, 1, 2, 3], "mixtral": []}


@pytest.mark.parametrize("architecture", EXPECTED)
def test_what_is_dead_where(tmp_path: Path, architecture: str) -> None:
    model = open_model(Checkpoint.open(save_tiny(tmp_path / "model", architecture)))
    model.load_block(0)
    stops = model.stops(0)
    assert model.dead_from(0, stops) == EXPECTED[architecture]
    assert [number for number, once in enumerate(model.read_once(0, stops)) if once] == ALONE[architecture]


class Late(torch.nn.Module):
    """Reads its input again at the very end, through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        view = hidden.view(-1, 4)
        inner = self.first(hidden)
        outer = self.second(torch.relu(inner))
        return outer + view.view_as(outer)


@torch.no_grad()
def test_a_late_reader_keeps_its_tensor() -> None:
    block = Late()
    stops = [block.first, block.second]
    assert dead_from(stops, block, torch.randn(1, 2, 4)) == [2, 2, 2]
    assert read_once(stops, block, torch.randn(1, 2, 4)) == [False, True]


def test_only_whole_storages_are_freed_and_only_in_time() -> None:
    whole, part = torch.ones(8, 4), torch.ones(8, 4)[:4]
    held = Held(whole, [1, 1, 2])
    held.reach(0, part)
    assert whole.untyped_storage().nbytes() == 128
    held.reach(1, torch.ones(2))
    assert whole.untyped_storage().nbytes() == 0
    assert torch.equal(part, torch.ones(4, 4))
