"""AWQ and SmoothQuant where no operation before a layer can take its scale: what a run says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from every_use import parsed
from quant_engine.methods.rounding import NOT_SCALED
from quant_engine.methods.types import Report
from quant_engine.result import Result
from quant_engine.unscaled import applied_label
from small_workspace import files, make_workspace, quant_engine

RECIPE = """\
model: model
calibration: {{ data: calibration.jsonl, samples: 4, sequence_length: 32, seed: 0 }}
quantize:
  default: {default}
  rules: [{{ layers: {layers}, use: {use} }}]
output: {output}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("unscaled"), 1).parent


def run(workspace: Path, name: str, default: str, layers: str, use: str) -> tuple[int, Result]:
    (workspace / f"{name}.quant.yaml").write_text(RECIPE.format(default=default, layers=layers, use=use, output=name))
    ran = quant_engine("run", f"{name}.quant.yaml", "--id", name, "--json", cwd=workspace)
    return ran.returncode, Result.model_validate_json(ran.stdout)


@pytest.mark.parametrize(
    ("use", "applied"),
    [("smoothquant-w8a8", "rtn-w8a8"), ("smoothquant-fp8_dynamic", "fp8_dynamic"), ("awq-w4a16-g32", "rtn-w4a16-g32(clip)")],
)
def test_a_use_that_scales_no_layer_is_a_fallback(workspace: Path, use: str, applied: str) -> None:
    code, result = run(workspace, use, "none", "lm_head", use)
    (head,) = [layer for layer in result.layers if layer.asked is not None]
    assert (code, head.asked, head.applied) == (3, use, applied)
    assert head.fallback == "rounded without a scale: no operation before the layer can take one"
    assert [problem.code for problem in result.problems] == ["fallback"]
    assert result.problems[0].line == 5 and result.problems[0].layer == "lm_head"
    events = [json.loads(line) for line in (workspace / "runs" / use / "events.jsonl").read_text().splitlines()]
    assert [(event["layer"], event["applied"]) for event in events if event["type"] == "fallback"] == [("lm_head", applied)]
    assert events[-1]["state"] == "done-with-fallbacks"
    shown = quant_engine("show", workspace / "runs" / use).stdout
    assert f"{use} → {applied}" in shown and "[fallback]" in shown


def test_a_rounding_with_arguments_is_what_was_applied_without_its_scale(workspace: Path) -> None:
    use = "{ method: smoothquant, scheme: W8A8, rounding: { method: gptq, damping: 0.05 } }"
    code, result = run(workspace, "mapping", "none", "lm_head", use)
    (head,) = [layer for layer in result.layers if layer.asked is not None]
    assert (code, head.asked, head.applied) == (3, "smoothquant-w8a8(rounding=gptq(damping=0.05))", "gptq-w8a8(damping=0.05)")


def test_experts_behind_a_norm_are_fallbacks(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "experts", 1, "mixtral").parent
    use = "{ method: awq, scheme: W4A16, group_size: 32, rounding: { method: rtn, range: mse } }"
    code, result = run(workspace, "awq", use, '"*.o_proj"', "none")
    first = {layer.name: layer for layer in result.layers if layer.name.endswith((".w1", ".w3"))}
    assert code == 3 and len(first) == 8 and all(layer.fallback for layer in first.values())
    enough = [layer for layer in first.values() if "routed" not in str(layer.fallback)]
    # Those that too few tokens chose were not scaled either.
    assert {layer.applied for layer in first.values() if layer not in enough} <= {"rtn-w4a16-g32"}
    assert enough and {layer.applied for layer in enough} == {"rtn-w4a16-g32(range=mse, clip)"}
    scaled = [layer for layer in result.layers if layer.asked and layer.applied == layer.asked]
    assert {layer.name.rpartition(".")[2] for layer in scaled} >= {"q_proj", "k_proj", "v_proj"}


def test_a_use_that_scales_some_layers_is_a_warning(workspace: Path) -> None:
    code, result = run(workspace, "some", "none", '"*"', "smoothquant-w8a8")
    applied = {layer.name: layer.applied for layer in result.layers}
    assert code == 0 and applied["model.layers.0.self_attn.q_proj"] == "smoothquant-w8a8" and applied["lm_head"] == "rtn-w8a8"
    assert all(layer.fallback is None for layer in result.layers)
    assert [problem.code for problem in result.problems] == ["not-scaled"]


def test_what_was_applied_instead_of_smoothquant_is_what_rounding_gives(workspace: Path) -> None:
    run(workspace, "rounded", "none", "lm_head", "rtn-w8a8")
    code, _ = run(workspace, "smoothed", "none", "lm_head", "{ method: smoothquant, scheme: W8A8 }")
    assert code == 3 and files(workspace / "rounded") == files(workspace / "smoothed")


GPTQ = {"method": "gptq", "damping": 0.05}


@pytest.mark.parametrize(
    ("rounding", "report", "applied"),
    [
        ("gptq", Report(note=NOT_SCALED), "gptq-w4a16-g32"),
        (GPTQ, Report(note=NOT_SCALED), "gptq-w4a16-g32(damping=0.05)"),
        ({"method": "rtn", "range": "mse"}, Report(note=NOT_SCALED), "rtn-w4a16-g32(range=mse)"),
        (GPTQ, Report(note=NOT_SCALED, applied="rtn", fallback="no signal"), "rtn-w4a16-g32"),
        (GPTQ, Report(rounding="rtn", fallback="no signal"), "awq-w4a16-g32(clip=False)"),
        (GPTQ, Report(applied="rtn", fallback="too few tokens"), "rtn-w4a16-g32"),
        (GPTQ, Report(), "awq-w4a16-g32(clip=False, rounding=gptq(damping=0.05))"),
    ],
)
def test_what_was_applied_names_the_rounding_that_was_done(rounding: object, report: Report, applied: str) -> None:
    use = parsed({"method": "awq", "scheme": "W4A16", "group_size": 32, "clip": False, "rounding": rounding})
    assert applied_label("model.layers.0.mlp.down_proj", use, report) == applied
