"""A device whose memory ends: `limited` makes each block's pass fail above a number of sequences, as an allocator of that size would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from quant_engine.architectures.decoder import BlockInput, DecoderModel
from quant_engine.errors import Cancelled
from quant_engine.request import Request
from quant_engine.result import Result
from quant_engine.retry import divided, fitted
from quant_engine.run import Outcome, resume
from quant_engine.run import start as start_run
from small_workspace import files, make_workspace

BUDGET = "quantize.budget.bits_per_weight=5.5"


@contextmanager
def limited(sequences: int, error: type[Exception] = torch.OutOfMemoryError, from_block: int = 0) -> Iterator[list[int]]:
    """Yields the numbers of sequences of the passes that failed."""
    failed: list[int] = []
    whole = DecoderModel.run_block

    def run_block(self: DecoderModel, index: int, batch: BlockInput) -> torch.Tensor:
        if len(batch.hidden) > sequences and index >= from_block:
            failed.append(len(batch.hidden))
            raise error("tried to allocate 2.00 GiB")
        return whole(self, index, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecoderModel, "run_block", run_block)
        yield failed


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("retry")).parent


def start(workspace: Path, name: str, *overrides: str) -> Outcome:
    return start_run(Request("run", workspace / "small.quant.yaml", (*overrides, f"output={name}"), "cpu", name=name, fresh=True))


def result_of(outcome: Outcome) -> Result:
    assert outcome.result is not None, outcome.record
    return outcome.result


@pytest.fixture(scope="module")
def plain(workspace: Path) -> Outcome:
    return start(workspace, "plain", BUDGET)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_the_block_is_done_again_with_smaller_batches_and_ends_in_the_same_bytes(
    workspace: Path, plain: Outcome, error: type[Exception]
) -> None:
    with limited(2, error) as failed:
        done = start(workspace, error.__name__, BUDGET)
    assert set(failed) == {8, 4}
    assert files(workspace / error.__name__) == files(workspace / "plain")
    assert done.exit_code == plain.exit_code
    notes = [problem for problem in result_of(done).problems if problem.code == "memory-retry"]
    assert len(notes) == 2 * 3 + 1, "importance, measure and quantize halve 8 twice; 4 held-out sequences are halved once"
    assert "only 2 sequences go" in notes[1].message and notes[1].line is not None
    assert not [problem for problem in result_of(plain).problems if problem.code == "memory-retry"]


def test_scores_of_smaller_batches_are_the_same_but_for_rounding(workspace: Path, plain: Outcome) -> None:
    with limited(1):
        done = start(workspace, "single", BUDGET)
    scores, expected = result_of(done).scores, result_of(plain).scores
    assert scores.kl is not None and expected.kl is not None
    assert scores.kl.value == pytest.approx(expected.kl.value, rel=1e-6)


def test_blocks_that_are_done_are_not_done_again(workspace: Path, plain: Outcome) -> None:
    with limited(4, from_block=1) as failed:
        start(workspace, "later", BUDGET)
    assert len(failed) == 3, "importance, measure and quantize each meet the limit once; evaluation has no more sequences than it"
    assert files(workspace / "later") == files(workspace / "plain")


def test_when_single_sequences_are_too_many_the_run_fails_and_says_what_to_do(workspace: Path) -> None:
    with limited(0) as failed:
        failed_run = start(workspace, "hopeless")
    record = failed_run.record
    assert failed == [8, 4, 2, 1] and record is not None and record.error is not None
    assert (failed_run.exit_code, record.state, record.error.code) == (1, "failed", "memory")
    assert "even for one sequence of 32 tokens" in record.error.message and "preflight" in (record.advice or "")
    assert record.resumable and not (workspace / "hopeless").exists()


def test_a_run_that_failed_for_memory_continues_with_the_batches_it_had_come_to(workspace: Path, plain: Outcome) -> None:
    with limited(0, from_block=1):
        failed_run = start(workspace, "resumed", BUDGET)
    assert failed_run.folder is not None
    with limited(1) as failed:
        done = resume(failed_run.folder)
    assert failed == [8, 4, 2, *[8, 4, 2], *[4, 2]], "importance, which had come to single sequences, meets no limit"
    assert files(workspace / "resumed") == files(workspace / "plain")
    assert sum(problem.code == "memory-retry" for problem in result_of(done).problems) == 1 + 3 + 3 + 2


def test_other_errors_are_not_taken_for_a_lack_of_memory(workspace: Path) -> None:
    with limited(2, Cancelled) as failed:
        stopped = start(workspace, "cancelled")
    assert failed == [8] and stopped.record is not None and stopped.record.state == "cancelled"


def test_hidden_states_of_larger_batches_become_those_of_the_smaller_ones() -> None:
    batches = [torch.arange(5 * 3).reshape(5, 3), torch.arange(2 * 3).reshape(2, 3)]
    parts = divided(batches, [3, 2])
    assert [len(part) for part in parts] == [2, 1, 2, 2]
    hidden = [batch.unsqueeze(-1) * 1.0 for batch in batches]
    found = fitted(hidden, parts)
    assert found is not None
    assert [part.squeeze(-1).tolist() for part in found] == [part.tolist() for part in parts]
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in found)
    assert fitted(None, parts) is None
