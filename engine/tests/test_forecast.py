"""Memory and time that preflight forecasts, and what it finds out about the device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from quant_engine.check import check
from quant_engine.preflight import findings as device_findings
from quant_engine.preflight.fit import Cost, Line, Probed, costs
from quant_engine.preflight.forecast import Blocks, Phase
from quant_engine.preflight.probe import Probe, ways
from quant_engine.preflight.recorder import Recorder, Span, allocated
from quant_engine.preflight.run import preflight
from quant_engine.request import Request
from quant_engine.uses import resolve
from small_workspace import make_text, make_workspace, quant_engine
from test_preflight import said

WIDE = {"hidden_size": 512, "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 4}
DEEP = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_key_value_heads": 4}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("forecast")).parent


def larger(folder: Path, sizes: dict[str, Any], samples: int, change: tuple[str, str]) -> Path:
    recipe = make_workspace(folder)
    tiny.save_tiny(folder / "model", vocab_size=257, max_position_embeddings=256, eos_token_id=0, bos_token_id=None, **sizes)
    make_text(folder / "calibration.jsonl", documents=400)
    text = recipe.read_text().replace("samples: 8, sequence_length: 32", f"samples: {samples}, sequence_length: 256")
    recipe.write_text(text.replace(*change))
    return recipe


@pytest.mark.parametrize(
    ("sizes", "samples", "change"),
    [
        (WIDE, 96, ("candidates: [", "candidates: [smoothquant-w8a8, ")),
        (DEEP, 192, ("quantize:\n", "quantize:\n  budget: { bits_per_weight: 5 }\n")),
    ],
)
def test_peak_memory_is_within_a_fifth_of_the_runs(tmp_path: Path, sizes: dict[str, Any], samples: int, change: tuple[str, str]) -> None:
    recipe = larger(tmp_path, sizes, samples, change)
    found = said(recipe)
    done = quant_engine("run", recipe, "--device", "cpu", "--json")
    assert done.returncode in (0, 3), done.stderr
    measured = json.loads(done.stdout)["peak_memory_bytes"]
    nothing = found.phases[0].host_bytes
    assert measured > 1.25 * nothing, "what is forecast should not be the libraries alone"
    assert found.host_bytes == pytest.approx(measured, rel=0.2)


def test_more_tokens_take_more_time_and_memory(workspace: Path) -> None:
    recipe = workspace / "small.quant.yaml"
    length = ("--set", "calibration.sequence_length=256")
    few, many = (said(recipe, "--set", f"calibration.samples={samples}", *length) for samples in (16, 96))
    assert few.calibration_tokens < many.calibration_tokens
    for name in ("measure", "quantize"):
        before, after = (next(phase for phase in found.phases if phase.phase == name) for found in (few, many))
        assert after.host_bytes > before.host_bytes - 10_000_000
        assert after.seconds > 0


def span(label: tuple[str, ...], seconds: float, held: int, through: float = 0.0) -> Span:
    return Span(label, seconds, through, held, held, held)


def test_what_depends_on_tokens_and_what_does_not() -> None:
    load, forward, method = ("block", "", "load"), ("block", "", "forward", "0"), ("block", "", "layers", "q", "", "0")
    passes = [
        Probed(2, [span(load, 0.5, 10), span(forward, 2.5, 120), span(method, 1.5, 150, through=0.5)]),
        Probed(3, [span(load, 0.7, 10), span(forward, 3.5, 170), span(method, 1.7, 200, through=0.75)]),
    ]
    found = costs(passes)
    assert found[load].seconds.at(100) == pytest.approx(0.6)
    assert (found[forward].seconds.fixed, found[forward].seconds.for_each) == (pytest.approx(0.5), pytest.approx(1.0))
    assert (found[method].seconds.fixed, found[method].seconds.for_each) == (pytest.approx(0.975), pytest.approx(0.25))
    assert found[forward].host.at(10) == pytest.approx(170 + 7 * 50) and found[forward].device.at(10) == pytest.approx(170 + 7 * 50)


def test_a_way_that_was_tried_once_holds_as_much_for_each_batch_as_the_others() -> None:
    one, other = ("block", "", "layers", "q k v", "gptq", "0"), ("block", "", "layers", "q k v", "awq", "0")
    found = costs([Probed(2, [span(one, 1, 100)]), Probed(3, [span(one, 1, 140)]), Probed(1, [span(other, 1, 90)])])
    assert found[other].host.at(1) == pytest.approx(90) and found[other].host.at(11) == pytest.approx(90 + 10 * 40)


def test_a_phase_counts_each_block_by_how_it_is_quantized() -> None:
    gptq, rtn = resolve("gptq-w4a16"), resolve("rtn-w8a16")
    blocks = Blocks({0: [0, 1, 2]}, {0: {"q": gptq}, 1: {"q": rtn}, 2: {"q": None}})
    second = Line(1.0)
    steps = {label: Cost(second, second, second) for label in (
        ("once", "", "embed"), ("block", "", "load"), ("block", "", "statistics", "q"), ("block", "", "decompress"),
        ("block", "", "layers", "q", ways({"q": gptq}, ["q"])[0], "0"), ("block", "", "layers", "q", ways({"q": rtn}, ["q"])[0], "0"),
    )}  # fmt: skip
    phase = Phase("quantize", {0: steps}, 1.0, blocks.count_quantized)
    assert phase.seconds == pytest.approx(1 + 3 + 2 + 0 + 1 + 1)


def test_the_recorder_sees_what_is_allocated_and_freed_within_a_step() -> None:
    recorder, megabytes = Recorder(), 64
    before = allocated()
    with recorder.recording("nothing"):
        recorder.mark("much")
        torch.ones(megabytes << 18)
        recorder.mark("nothing more")
    peaks = {one.label: one.allocated for one in recorder.spans}
    assert peaks["much"] == pytest.approx(megabytes << 20, rel=0.1)
    assert peaks["nothing more"] < megabytes << 19 and allocated() - before < megabytes << 19


def test_memory_that_does_not_suffice_is_said_with_how_much_would(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_findings, "_host_memory", lambda: (1_000_000, 1_000_000))
    found = preflight(Request("run", workspace / "small.quant.yaml", device="cpu"))
    (first, *_) = [finding for finding in found.findings if finding.code == "memory-short"]
    assert first.severity == "error" and "1.0 MB" in first.message and "measure" in first.message and first.line == 2


def test_memory_that_ends_during_the_probe_is_a_finding(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    monkeypatch.setattr(Probe, "measure", fail)
    found = preflight(Request("run", workspace / "small.quant.yaml", device="cpu"))
    assert [finding.code for finding in found.findings] == ["memory-short"] and not found.phases


def test_a_scheme_that_the_device_does_not_compute_is_found_where_it_is_asked_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_float8(use: Any, *_: object) -> str | None:
        return '"copy_" not implemented for Float8_e4m3fn' if use.scheme.startswith("FP8") else None

    monkeypatch.setattr(device_findings, "_failure", no_float8)
    found = preflight(Request("run", workspace / "small.quant.yaml", ("quantize.default=fp8_dynamic",), "cpu"))
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("scheme-device", "error") and "fp8_dynamic does not run on cpu" in finding.message


def test_every_scheme_computes_on_the_cpu() -> None:
    for short in ("fp8", "fp8_block", "rtn-nvfp4a16", "rtn-mxfp4a16", "gptq-w4a8", "smoothquant-w8a8", "awq-w4a16"):
        use = resolve(short)
        assert use is not None and device_findings._failure(use, "cpu", torch.bfloat16) is None


def test_check_still_needs_no_torch(workspace: Path) -> None:
    assert check(workspace / "small.quant.yaml").recipe is not None
    done = quant_engine("check", workspace / "small.quant.yaml", python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "quant_engine.preflight.disk" in imported and not imported & {"torch", "quant_engine.preflight.run"}
