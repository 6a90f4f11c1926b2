"""Batches shared among several devices: what one device finds, and no operation on tensors of two."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import tiny
from every_use import every_use, parsed
from pretend_devices import MixedDevicesError, PretendDevices, here
from quant_engine import handed
from quant_engine.architectures import liveness
from quant_engine.architectures.decoder import open_model
from quant_engine.checkpoint import Checkpoint
from quant_engine.uses import Use, parse_short
from quant_engine.walk import MeasuredBlock, measure, quantize

# Roundings with arguments of their own are the same code behind a scale.
USES = [parsed(use) for use in every_use(32) if not isinstance(use.get("rounding"), dict)]
SOME = [*map(parse_short, ["gptq-w4a16-g32", "awq-w4a16-g32", "smoothquant-w8a8", "rtn-nvfp4", "fp8"])]
DEVICES = ("pretend:0", "pretend:1", "pretend:2")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    free = liveness.free
    for module in (liveness, handed):
        monkeypatch.setattr(module, "free", lambda tensor: free(here(tensor)))
    with PretendDevices():
        yield


def batches() -> list[torch.Tensor]:
    return [*tiny.tokens(4), *tiny.tokens(1, sequences=1, length=40)]


def measured(folder: Path, uses: list[Use], *devices: str) -> list[MeasuredBlock]:
    return list(measure(open_model(Checkpoint.open(folder), devices[0]), batches(), uses, head=True, others=devices[1:]))


class Pieces:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def put(self, piece: str, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors |= {name: here(tensor).clone() for name, tensor in tensors.items()}


def written(folder: Path, use: Use, *devices: str) -> tuple[dict[str, torch.Tensor], list[float]]:
    """What is stored, and the signal and noise of each layer."""
    model, pieces = open_model(Checkpoint.open(folder), devices[0]), Pieces()
    assignment = {linear.name: use for linear in model.linears}
    blocks = list(quantize(model, batches(), assignment, pieces, others=devices[1:]))  # type: ignore[arg-type]
    energies = [value for block in blocks for layer in block.layers for value in (layer.signal, layer.achieved.noise)]
    return pieces.tensors, energies


@pytest.mark.usefixtures("pretend")
def test_tensors_of_two_devices_do_not_meet_unnoticed() -> None:
    one, other = torch.ones(2, 2).to("pretend:0"), torch.ones(2, 2, device="pretend:1")
    assert str((one @ one).device) == "pretend:0" and float((one @ other.to("pretend:0")).sum()) == 8
    with pytest.raises(MixedDevicesError, match="pretend:0, pretend:1"):
        _ = one @ other
    with pytest.raises(MixedDevicesError, match="cpu, pretend:1"):
        _ = other + torch.ones(2, 2)


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize(("architecture", "uses"), [("llama", USES), ("gemma3", SOME), ("opt", SOME)])
def test_three_devices_measure_what_one_does(architecture: str, uses: list[Use], tmp_path: Path) -> None:
    folder = tiny.save_tiny(tmp_path / "model", architecture)
    alone, shared = measured(folder, uses, DEVICES[0]), measured(folder, uses, *DEVICES)
    assert [block.block for block in alone] == [block.block for block in shared]
    differences = []
    for block, same in zip(alone, shared, strict=True):
        assert len(block.layers) == len(same.layers) > 0
        for layer, other in zip(block.layers, same.layers, strict=True):
            assert (layer.name, layer.tokens) == (other.name, other.tokens)
            assert layer.signal == pytest.approx(other.signal, rel=1e-6)
            differences += [abs(other.candidates[label].noise / found.noise - 1) for label, found in layer.candidates.items()]
    # Sums of parts round otherwise: now and then a code falls to the other side, and takes those that follow it along.
    assert statistics.median(differences) < 1e-6 and max(differences) < 0.02


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "qwen3_moe"])
def test_copies_on_one_device_change_nothing(architecture: str, tmp_path: Path) -> None:
    folder = tiny.save_tiny(tmp_path / "model", architecture)
    use = parse_short("awq-w4a16-g32" if architecture == "qwen3_moe" else "smoothquant-w8a8")
    (alone, energies), (shared, same) = written(folder, use, "cpu"), written(folder, use, "cpu", "cpu", "cpu")
    assert energies == same and alone.keys() == shared.keys() and len(alone) > 8
    assert all(torch.equal(tensor, shared[name]) for name, tensor in alone.items())


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize("use", SOME, ids=lambda use: use.label)
def test_three_devices_write_what_one_does(use: Use, tmp_path: Path) -> None:
    folder = tiny.save_tiny(tmp_path / "model", "llama")
    (alone, energies), (shared, same) = written(folder, use, DEVICES[0]), written(folder, use, *DEVICES)
    assert alone.keys() == shared.keys() and len(alone) > 14
    assert energies == pytest.approx(same, rel=1e-4)
    for name, tensor in alone.items():
        assert tensor.dtype == shared[name].dtype and tensor.shape == shared[name].shape
        assert float((tensor.float() == shared[name].float()).float().mean()) >= 0.99, name
