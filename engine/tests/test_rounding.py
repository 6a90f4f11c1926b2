"""AWQ and SmoothQuant before every rounding: its codes are those that the rounding's own method gives for the scaled weights and inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from every_use import parsed
from quant_engine.calibration import statistics_of
from quant_engine.checkpoint import Checkpoint
from quant_engine.formats.grid import decode, encode, find_grid
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.methods import METHODS
from quant_engine.methods.awq import AwqArguments, awq
from quant_engine.methods.gptq import GptqArguments, gptq_on_grid
from quant_engine.methods.types import Quantized, Statistics
from quant_engine.result import Result
from quant_engine.uses import Use
from small_workspace import environment, files, make_workspace, quant_engine
from test_gptq import problem as wide_problem
from test_gptq_groups import twin
from test_load import assert_loads_exactly, written
from test_scaling_methods import FORMAT, ZEROS, inputs_of, problem

INTERRUPTED = Path(__file__).with_name("interrupted.py")
OTHERS: list[dict[str, Any]] = [
    {"method": "rtn", "range": "mse"},
    {"method": "gptq", "damping": 0.05, "actorder": "none", "block_size": 48},
    {"method": "gptq", "groups": "dynamic"},
    {"method": "hqq", "norm": 0.5, "iterations": 10},
]
ROUNDINGS: list[Any] = ["rtn", "gptq", "hqq", *OTHERS]
EIGHT, FOUR = SCHEMES["W8A8"].weights, SCHEMES["W4A8"].weights.with_group_size(32)
CASES = [("awq", kind, rounding) for kind in (FORMAT, ZEROS) for rounding in ROUNDINGS]
CASES += [("smoothquant", kind, rounding) for kind in (EIGHT, FOUR) for rounding in ROUNDINGS]
CASES += [("smoothquant", SCHEMES["MXFP4"].weights, rounding) for rounding in ROUNDINGS if "hqq" not in str(rounding)]


def by_two(scale: Tensor) -> Tensor:
    """Scales that bfloat16 weights and inputs take without being rounded, so that codes can be compared one by one."""
    return torch.exp2(torch.log2(scale).round())


def composed(transform: str, kind: WeightFormat, rounding: Any) -> tuple[Quantized, Tensor, Statistics]:
    weight, statistics = problem()
    statistics.fold = by_two
    own = {"clip": False} if transform == "awq" else {}
    method = METHODS[transform]
    return method.quantize(weight, statistics, kind, method.arguments(**{"rounding": rounding, **own})), weight, statistics


def alone(rounding: Any, weight: Tensor, statistics: Statistics, kind: WeightFormat) -> Quantized:
    own = {"method": rounding} if isinstance(rounding, str) else dict(rounding)
    method = METHODS[own.pop("method")]
    return method.quantize(weight, statistics, kind, method.arguments(**own))


@pytest.mark.parametrize(("transform", "kind", "rounding"), CASES, ids=str)
def test_codes_are_those_of_the_method_on_scaled_weights_and_inputs(transform: str, kind: WeightFormat, rounding: Any) -> None:
    done, weight, statistics = composed(transform, kind, rounding)
    scale = done.scale
    assert scale is not None and len(set(scale.tolist())) > 3
    scaled, inputs = (weight.double() * scale).bfloat16(), (inputs_of(statistics) / scale).bfloat16()
    assert torch.equal(scaled.double(), weight.double() * scale), "nothing was rounded"
    expected = alone(rounding, scaled, statistics_of([inputs]), kind)
    assert torch.equal(done.codes, expected.codes) and torch.equal(done.grid.scales, expected.grid.scales)
    assert (done.grid.zeros is None) == (expected.grid.zeros is None)
    assert done.grid.zeros is None or torch.equal(done.grid.zeros, expected.grid.zeros)  # type: ignore[arg-type]
    assert done.report.damping == expected.report.damping


@pytest.mark.parametrize("rounding", OTHERS, ids=str)
def test_arguments_of_a_rounding_have_their_effect(rounding: dict[str, Any]) -> None:
    for transform, kind in (("awq", ZEROS), ("smoothquant", FOUR)):
        usual, changed = (composed(transform, kind, one)[0] for one in (rounding["method"], rounding))
        assert not torch.equal(usual.dequantize(), changed.dequantize())


@pytest.mark.parametrize("kind", [FORMAT, ZEROS], ids=["symmetric", "with zero points"])
def test_a_searched_range_begins_where_the_weights_are_clipped(kind: WeightFormat) -> None:
    """The search written out for weights that really end at the clip; only what is rounded is not cut off."""
    weight, statistics = problem()
    statistics.fold = by_two
    clipped = awq(weight, statistics, kind, AwqArguments())
    done = awq(weight, statistics, kind, AwqArguments.model_validate({"rounding": {"method": "rtn", "range": "mse"}}))
    assert done.scale is not None
    scaled = weight.float() * done.scale
    whole = find_grid(scaled, kind, torch.bfloat16)
    # What `clipped` keeps of each group: where no code of its grid lies beyond.
    limit = _ends(clipped, scaled)
    cut = scaled.reshape(96, 4, 32).clamp(-limit, limit).reshape(96, 128)
    assert bool((clipped.grid.scales < whole.scales).any())
    scales, least = whole.scales, torch.full((96, 4), float("inf"))
    for step in range(80):
        grid = find_grid(cut, kind, torch.bfloat16, 1 - step / 100)
        error = (decode(encode(scaled, grid), grid).float() - scaled).abs().pow(2.4).reshape(96, 4, 32).sum(-1)
        scales, least = torch.where(error < least, grid.scales, scales), torch.minimum(error, least)
    assert float((done.grid.scales == scales).double().mean()) > 0.99


def _ends(clipped: Quantized, scaled: Tensor) -> Tensor:
    """The largest magnitude (rows × groups × 1) of the twenty shares that gives the scale that AWQ's clipping stored."""
    found = torch.zeros(96, 4, 1)
    largest = scaled.reshape(96, 4, 32).abs().amax(-1, keepdim=True)
    for step in reversed(range(10)):
        limit = largest * (1 - step / 20)
        grid = find_grid(scaled.reshape(96, 4, 32).clamp(-limit, limit).reshape(96, 128), clipped.grid.weight_format, torch.bfloat16)
        same = (grid.scales == clipped.grid.scales).unsqueeze(-1)
        found = torch.where(same, limit, found)
    assert bool((found > 0).all())
    return found


@pytest.mark.parametrize("actorder", ["weight", "none"])
def test_dynamic_groups_are_clipped_when_they_are_found(actorder: str) -> None:
    """Something is cut off in every group: of a whole symmetric one, and of one with a zero point that ends alike, ties decide."""
    weight, statistics = wide_problem(columns=128, rows=96, dtype=torch.float32)
    clip = torch.tensor([0.9, 0.8, 0.7, 0.55])[torch.randint(0, 4, (96, 4), generator=torch.Generator().manual_seed(3))]
    how = GptqArguments.model_validate({"actorder": actorder, "groups": "dynamic"})
    done = gptq_on_grid(weight, statistics, FORMAT, how, torch.float32, clip)
    steps = done.grid.scales.double().repeat_interleave(32, 1)
    expected = [twin(weight, statistics.gram, FORMAT, actorder == "weight", one) for one in (clip, torch.full_like(clip, 0.9))]
    same = [float(((done.codes.double() * steps - one).abs() < 1e-4 * steps).double().mean()) for one in expected]
    assert same[0] >= 0.995 > 0.9 > same[1]


def use_of(transform: str, scheme: str, rounding: Any) -> Use:
    return parsed({"method": transform, "scheme": scheme, "rounding": rounding, **({} if scheme == "W8A8" else {"group_size": 32})})


@pytest.mark.parametrize("rounding", ["hqq", *OTHERS], ids=str)
@pytest.mark.parametrize("way", ["awq W4A16", "awq W3A16_ASYM", "smoothquant W8A8", "smoothquant W4A8"])
def test_transformers_computes_what_the_engine_computes(way: str, rounding: Any, llama: Checkpoint, tmp_path: Path) -> None:
    transform, scheme = way.split()
    use = use_of(transform, scheme, rounding)
    output = written(llama, tmp_path, lambda name: None if name == "lm_head" else use)
    assert_loads_exactly(output, llama)


def test_two_ways_to_write_the_same_are_one_use_and_one_label() -> None:
    labels = {
        "awq-w4a16-g32": ["rtn", {"method": "rtn"}, {"range": "minmax", "method": "rtn"}],
        "awq-w4a16-g32(rounding=gptq)": ["gptq", {"method": "gptq", "damping": 0.01, "block_size": 128}],
        "awq-w4a16-g32(rounding=gptq(damping=0.05))": [{"method": "gptq", "damping": 5e-2}, {"damping": 0.05, "method": "gptq"}],
        "awq-w4a16-g32(rounding=hqq(norm=0.5, iterations=3))": [{"iterations": 3, "method": "hqq", "norm": 0.5}],
    }
    for label, written_so in labels.items():
        uses = [use_of("awq", "W4A16", rounding) for rounding in written_so]
        assert {use.label for use in uses} == {label} and len(set(uses)) == 1


@pytest.mark.parametrize("rounding", ["hqq", {"method": "hqq", "norm": 0.5}], ids=str)
def test_a_fit_of_whole_numbers_is_refused_where_there_are_none(rounding: Any) -> None:
    for scheme in ("FP8_DYNAMIC", "MXFP4"):
        with pytest.raises(ValidationError, match=f"hqq does not go with {scheme}"):
            parsed({"method": "smoothquant", "scheme": scheme, "rounding": rounding})
    assert all(use_of("smoothquant", scheme, rounding).label.startswith("smoothquant") for scheme in ("W8A8", "W4A8"))


def test_a_run_is_continued_with_the_same_rounding_alone_and_its_record_names_it(tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, 2)
    use = "{ method: awq, scheme: W4A16, group_size: 32, rounding: { method: gptq, damping: 0.05 } }"
    text = recipe.read_text().replace("default: gptq-w3a16-g32", f"default: {use}")
    recipe.write_text(text.replace("gptq-w3a16-g32]", f"{use}]"))
    whole = quant_engine("run", recipe, "--output", "whole", "--runs", "others", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = tmp_path / "whole"
    command = [sys.executable, INTERRUPTED, "SIGINT", "quantize", 1, "start", recipe, tmp_path / "out", tmp_path / "runs"]
    stopped = subprocess.run([*map(str, command)], env=environment(), capture_output=True, timeout=300, check=False)
    assert stopped.returncode == 130, stopped.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    right = recipe.read_text()
    recipe.write_text(right.replace("damping: 0.05", "damping: 0.06"))
    refused = quant_engine("run", recipe, "--resume", folder)
    assert refused.returncode == 2 and "[resume-mismatch]" in refused.stderr
    assert "recipe.quantize.default.rounding.damping" in refused.stderr
    recipe.write_text(right)
    done = quant_engine("run", "--resume", folder, "--json")
    assert done.returncode == 0, done.stderr
    result = Result.model_validate_json(done.stdout)
    label = "awq-w4a16-g32(rounding=gptq(damping=0.05))"
    assert {layer.applied for layer in result.layers} - {None} == {label, "rtn-w8a16-g64"}
    assert {layer.damping for layer in result.layers if layer.applied == label} == {0.05}
    assert {label} < set(result.measured_by)
    assert files(tmp_path / "out") == files(expected)
    shown = quant_engine("show", folder).stdout
    assert label in shown and "(damping=0.05)) " in shown.replace(label, "")


def test_a_measurement_is_taken_for_the_same_rounding_alone(tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, 1)
    use = "{ method: awq, scheme: W4A16, group_size: 32, rounding: { method: gptq, damping: 0.05 } }"
    written_so = recipe.read_text().replace("[rtn-w4a16-g32, gptq-w3a16-g32]", f"[{use}]")
    results = []
    alike = written_so.replace("method: gptq, damping: 0.05", "damping: 5e-2, method: gptq")
    for text in (written_so, alike, written_so.replace("0.05", "0.06")):
        recipe.write_text(text)
        done = quant_engine("sensitivity", recipe, "--json")
        assert done.returncode == 0, done.stderr
        results.append(Result.model_validate_json(done.stdout))
    first, same, other = results
    label = "awq-w4a16-g32(rounding=gptq(damping=0.05))"
    assert first.measured_by == same.measured_by == {label: first.run}
    assert other.measured_by == {label.replace("0.05", "0.06"): other.run}
