"""When a journal saves hidden states, and what a resume finds of blocks that were not saved yet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from quant_engine import journal as module
from quant_engine.journal import Journal


class Clock:
    """Time passes when a test says so, and while tensors are saved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
        self.now = 1000.0
        save = module.save_tensors

        def slow(*arguments: object) -> None:
            save(*arguments)  # type: ignore[arg-type]
            self.now += cost

        monkeypatch.setattr(module, "save_tensors", slow)

    def __call__(self) -> float:
        return self.now


def hidden(block: int) -> list[torch.Tensor]:
    return [torch.full((2, 3), block), torch.full((1, 3), -block)]


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_costs_nothing_is_saved_after_every_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, Clock(monkeypatch, cost=0.01))
    for block in range(3):
        journal.add(block, [f"layer {block}"], hidden(block))
        assert journal.done == block + 1
    assert files(tmp_path) == ["00000.json", "00001.json", "00002.json", "00002.safetensors"]
    assert Journal(tmp_path).layers() == ["layer 0", "layer 1", "layer 2"]


def test_what_takes_long_is_saved_for_a_tenth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=2)
    journal, saved = Journal(tmp_path, clock), []
    for block in range(30):
        clock.now += 3
        journal.add(block, [block], hidden(block), "head" if block == 29 else "block")
        if journal.done == block + 1:
            saved.append(block)
    # The first, to know what it costs; then whenever 20 seconds have passed; and what the head reads.
    assert saved == [0, 7, 14, 21, 28, 29]
    assert journal.layers() == list(range(30))
    found = journal.hidden()
    assert found is not None and all(map(torch.equal, found, hidden(29)))


def test_blocks_that_were_not_saved_are_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=2)
    stopped = Journal(tmp_path, clock)
    for block in range(5):
        clock.now += 3
        stopped.add(block, [block], hidden(block))
    resumed = Journal(tmp_path, clock)
    assert resumed.done == 1 and resumed.layers() == [0]
    found = resumed.hidden()
    assert found is not None and all(map(torch.equal, found, hidden(0)))
    # Also within one process, which goes on from the last saved block when the memory did not suffice for the present one.
    stopped.hidden()
    for block in range(1, 9):
        clock.now += 3
        stopped.add(block, [f"again {block}"], hidden(block))
    assert stopped.layers()[:2] == [0, "again 1"] and len(stopped.layers()) == stopped.done


def test_behind_the_last_block_nothing_is_kept_that_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=2)
    journal = Journal(tmp_path, clock)
    for block in range(4):
        journal.add(block, [block], hidden(block), "nothing" if block == 3 else "block")
    assert files(tmp_path) == ["00000.json", "00003.json"]
    assert journal.done == 4 and journal.layers() == [0, 1, 2, 3] and journal.hidden() is None
