from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from quant_engine.errors import QuantError
from quant_engine.events import AnyEvent, RunRecord
from quant_engine.result import Result
from quant_engine.run import Outcome, Request, resume, start
from quant_engine.run_directory import create_folder
from small_workspace import files, make_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("run")).parent


@pytest.fixture(scope="module")
def outcome(workspace: Path) -> Outcome:
    return start(Request("run", workspace / "small.quant.yaml", device="cpu"))


def events_of(folder: Path) -> list[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyEvent)
    return [adapter.validate_json(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def record_of(folder: Path) -> RunRecord:
    return RunRecord.model_validate_json((folder / "run.json").read_text())


def folder_of(outcome: Outcome) -> Path:
    assert outcome.folder is not None
    return outcome.folder


def test_a_run_ends_well_and_leaves_what_the_design_says(workspace: Path, outcome: Outcome) -> None:
    assert outcome.exit_code == 0
    folder = folder_of(outcome)
    assert folder.parent == workspace / "runs"
    assert re.fullmatch(r"\d{8}T\d{6}Z-small", folder.name)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "engine.log", "events.jsonl", "recipe.quant.yaml", "request.json", "result.json", "run.json"
    ]  # fmt: skip
    assert (folder / "recipe.quant.yaml").read_bytes() == (workspace / "small.quant.yaml").read_bytes()
    assert "prepare: 3 steps" in (folder / "engine.log").read_text()


def test_the_record_says_who_ran_what_where(workspace: Path, outcome: Outcome) -> None:
    record = record_of(folder_of(outcome))
    assert (record.state, record.resumable, record.error) == ("done", False, None)
    assert record.recipe == str(workspace / "small.quant.yaml")
    assert record.model == str(workspace / "model") and record.output == str(workspace / "quantized")
    assert record.device.startswith("cpu (") and record.pid_started > 0 and record.finished
    assert {"python", "quant-engine", "torch", "transformers"} <= record.environment.keys()


def test_events_are_typed_gapless_and_in_the_order_of_the_stages(outcome: Outcome) -> None:
    events = events_of(folder_of(outcome))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.phase for event in events if event.type == "phase"] == [
        "prepare", "measure", "choose", "quantize", "write", "evaluate"
    ]  # fmt: skip
    assert (events[0].type, events[-1].type, events[-1].state) == ("started", "done", "done")
    assert sum(event.type == "layer-measured" for event in events) == 22
    assert sum(event.type == "layer-quantized" for event in events) == 21
    assert {event.name for event in events if event.type == "score"} == {
        "perplexity", "baseline_perplexity", "perplexity_ratio", "kl", "same_top"
    }  # fmt: skip
    for phase in ("measure", "quantize", "evaluate"):
        counts = [(event.done, event.total) for event in events if event.type == "progress" and event.phase == phase]
        assert counts == [(done, counts[0][1]) for done in range(counts[0][1] + 1)]


def test_the_result_says_what_was_asked_and_done(outcome: Outcome) -> None:
    result = Result.model_validate_json((folder_of(outcome) / "result.json").read_text())
    assert outcome.result == result
    assert result.candidates == ["rtn-w4a16-g32", "gptq-w3a16-g32"]
    layers = {layer.name: layer for layer in result.layers}
    assert len(layers) == 22
    down, q = layers["model.layers.1.mlp.down_proj"], layers["model.layers.1.self_attn.q_proj"]
    assert (down.rule, down.asked, down.applied, down.bits_per_weight) == (0, "rtn-w8a16-g64", "rtn-w8a16-g64", 8.25)
    assert (q.rule, q.applied, q.tokens, q.bits_per_weight) == ("default", "gptq-w3a16-g32", 256, 3.5)
    assert q.achieved is not None and q.achieved.sqnr_db is not None
    assert set(q.candidates) == set(result.candidates)
    head = layers["lm_head"]
    assert (head.rule, head.asked, head.applied, set(head.candidates)) == (None, None, None, set(result.candidates))
    assert result.problems == [] and result.sizes.quantized_bytes is not None
    assert result.sizes.original_bytes > result.sizes.quantized_bytes
    # Three blocks of 64×64, 2·32×64, 64×64, 2·128×64 at 3.5 bits and 64×128 at 8.25.
    assert result.sizes.bits_per_weight == pytest.approx((28672 * 3.5 + 8192 * 8.25) / 36864, rel=1e-12)


def test_sensitivity_measures_and_writes_nothing(workspace: Path, outcome: Outcome, tmp_path: Path) -> None:
    only = start(Request("sensitivity", workspace / "small.quant.yaml", device="cpu", runs=tmp_path))
    assert only.exit_code == 0 and only.result is not None and outcome.result is not None
    assert only.result.output is None and only.result.sizes.quantized_bytes is None
    assert [layer.candidates for layer in only.result.layers] == [layer.candidates for layer in outcome.result.layers]
    assert {layer.applied for layer in only.result.layers} == {None}


def test_a_candidate_that_is_listed_twice_is_measured_once(workspace: Path, tmp_path: Path, outcome: Outcome) -> None:
    written = "{ method: rtn, scheme: W4A16, group_size: 32 }"
    overrides = (f"candidates=[rtn-w4a16-g32, gptq-w3a16-g32, rtn-w4a16-g32, {written}]",)
    only = start(Request("sensitivity", workspace / "small.quant.yaml", overrides, "cpu", tmp_path))
    assert only.exit_code == 0 and only.result is not None and outcome.result is not None
    assert only.result.candidates == outcome.result.candidates == ["rtn-w4a16-g32", "gptq-w3a16-g32"]
    assert [layer.candidates for layer in only.result.layers] == [layer.candidates for layer in outcome.result.layers]


def test_sensitivity_without_candidates_is_refused(workspace: Path, tmp_path: Path) -> None:
    request = Request("sensitivity", workspace / "small.quant.yaml", ("candidates=[]",), "cpu", tmp_path / "runs")
    with pytest.raises(QuantError) as caught:
        start(request)
    assert caught.value.code == "no-candidates" and not (tmp_path / "runs").exists()


def test_without_candidates_nothing_is_measured(workspace: Path, tmp_path: Path, outcome: Outcome) -> None:
    overrides = ("candidates=[]", "evaluate=null", f"output={tmp_path / 'out'}")
    done = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    phases = [event.phase for event in events_of(folder_of(done)) if event.type == "phase"]
    assert phases == ["prepare", "choose", "quantize", "write"]
    assert files(tmp_path / "out") == files(workspace / "quantized"), "measuring first must not change a byte"
    assert done.result is not None and done.result.scores.perplexity is None


def test_a_budget_chooses_among_the_candidates(workspace: Path, tmp_path: Path) -> None:
    candidates = "candidates=[rtn-w4a16-g32, rtn-w3a16-g32]"
    overrides = (candidates, "quantize.budget.bits_per_weight=4.2", "quantize.rules=[]", f"output={tmp_path / 'out'}", "evaluate=null")
    done = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    assert done.exit_code == 0 and done.result is not None
    assert done.result.sizes.bits_per_weight <= 4.2
    assert {layer.rule for layer in done.result.layers} == {"budget", None}
    assert {layer.applied for layer in done.result.layers} == {"rtn-w4a16-g32", "rtn-w3a16-g32", None}


def test_a_head_that_a_rule_names_is_measured_and_quantized(workspace: Path, tmp_path: Path) -> None:
    rule = "quantize.rules=[{layers: lm_head, use: rtn-w8a16-g32}]"
    overrides = (rule, f"output={tmp_path / 'out'}")
    done = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    assert done.exit_code == 0 and done.result is not None
    head = done.result.layers[-1]
    assert (head.name, head.rule, head.applied) == ("lm_head", 0, "rtn-w8a16-g32")
    assert set(head.candidates) == set(done.result.candidates) and head.achieved is not None


def test_little_calibration_text_is_a_problem_at_its_key(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("the code of a block " * 5)
    overrides = (f"calibration.data={tmp_path / 'short.txt'}", f"output={tmp_path / 'out'}", "evaluate=null")
    done = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    assert done.exit_code == 0 and done.result is not None
    problem, few = done.result.problems
    assert (problem.code, problem.severity, problem.line, problem.column) == ("data-short", "warning", 2, 22)
    assert problem.message == "the text gives only 3 of 8 sequences of 32 tokens"
    assert (few.code, few.severity, few.line) == ("data-few", "warning", 2)
    assert few.message.startswith("96 calibration tokens are fewer than the 128 inputs of model.layers.0.mlp.down_proj: ")


@pytest.mark.parametrize(
    ("rule", "newest"),
    [("{ method: rtn, scheme: W4A16, group_size: 32 }", "does not"), ("none", "does with quantization_config=")],
)
def test_zero_points_are_told_of_with_the_releases_that_load_them(workspace: Path, tmp_path: Path, rule: str, newest: str) -> None:
    uses = (
        "quantize.default={ method: rtn, scheme: W4A16_ASYM, group_size: 32 }",
        f'quantize.rules=[{{ layers: "*.down_proj", use: {rule} }}]',
    )
    overrides = (*uses, f"output={tmp_path / 'out'}", "evaluate=null")
    done = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    assert done.exit_code == 0 and done.result is not None
    (problem,) = done.result.problems
    assert (problem.code, problem.severity, problem.line) == ("zero-points", "information", 5)
    assert problem.message.startswith("W4A16_ASYM has zero points: transformers 5.17 to 5.22 ")
    assert f"; transformers 5.23 {newest}" in problem.message


@pytest.mark.parametrize(("use", "is_told"), [("rtn-w8a8", True), ("fp8_dynamic", True), ("fp8", False), ("rtn-w4a16-g32", False)])
def test_layers_that_transformers_runs_on_flattened_tokens_are_told_of(use: str, is_told: bool, tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, blocks=2, architecture="opt")
    overrides = ("candidates=[]", "quantize.default=none", f'quantize.rules=[{{ layers: "*.fc2", use: {use} }}]', "evaluate=null")
    done = start(Request("run", recipe, overrides, "cpu"))
    assert done.exit_code == 0 and done.result is not None
    found = [(one.code, one.severity, one.layer) for one in done.result.problems if one.code != "data-few"]
    assert found == ([("tokens-flattened", "warning", "model.decoder.layers.0.fc2")] if is_told else [])


def test_a_failure_is_recorded_and_leaves_no_output(workspace: Path, tmp_path: Path) -> None:
    model = shutil.copytree(workspace / "model", tmp_path / "model")
    (model / "tokenizer.json").write_text("{}")
    overrides = (f"model={model}", f"output={tmp_path / 'out'}")
    failed = start(Request("run", workspace / "small.quant.yaml", overrides, "cpu", tmp_path / "runs"))
    assert failed.exit_code == 1
    folder = folder_of(failed)
    record, last = record_of(folder), events_of(folder)[-1]
    assert record.state == "failed" and record.error is not None and record.advice
    assert (record.error.code, record.error.line) == ("tokenizer", 1)
    assert last.type == "failed" and last.problem == record.error
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".out*"))
    assert "tokenizer" in (folder / "engine.log").read_text()


@pytest.mark.usefixtures("outcome")
def test_a_defect_is_a_failure_too(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_engine import walk

    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(walk, "quantize", broken)
    request = Request("run", workspace / "small.quant.yaml", (f"output={tmp_path / 'out'}",), "cpu", tmp_path / "runs")
    failed = start(request)
    record = record_of(folder_of(failed))
    assert failed.exit_code == 1 and record.error is not None and record.resumable
    assert (record.error.code, record.error.message) == ("internal", "RuntimeError: surprise")
    assert "Traceback" in (folder_of(failed) / "engine.log").read_text()
    monkeypatch.undo()
    assert resume(folder_of(failed)).exit_code == 0
    assert files(tmp_path / "out") == files(workspace / "quantized")


@pytest.mark.usefixtures("outcome")
def test_devices_of_the_recipe_share_the_run_and_one_that_is_not_there_is_told_at_its_key(workspace: Path, tmp_path: Path) -> None:
    def run(devices: str, device: str = "auto") -> Outcome:
        overrides = (f"devices={devices}", f"output={tmp_path / 'out'}")
        return start(Request("run", workspace / "small.quant.yaml", overrides, device, tmp_path / "runs"))

    refused = run("[cpu, cuda:99]")
    (found,) = refused.checked.diagnostics
    assert (refused.exit_code, refused.folder, found.code) == (2, None, "device-missing")
    assert '"cuda:99"' in found.message and "cpu" in found.advice
    assert run("[cuda:99]", "cpu").exit_code == 0
    assert files(tmp_path / "out") == files(workspace / "quantized")
    wrong = run("[gpu0]").checked.diagnostics
    assert [one.code for one in wrong] == ["unknown-value", "output-exists"]


def test_an_unknown_device_lists_what_there_is(workspace: Path, tmp_path: Path) -> None:
    overrides = (f"output={tmp_path / 'out'}",)
    with pytest.raises(QuantError) as caught:
        start(Request("run", workspace / "small.quant.yaml", overrides, "cuda:7", tmp_path / "runs"))
    assert caught.value.code == "device-missing" and "cpu" in caught.value.advice
    assert not (tmp_path / "runs").exists()


def test_names_of_run_directories_never_collide(tmp_path: Path) -> None:
    recipe = tmp_path / "my recipe.quant.yaml"
    made = [create_folder(tmp_path / "runs", recipe, None) for _ in range(5)]
    assert len(set(made)) == 5
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-my-recipe(-\d)?", folder.name) for folder in made)


def test_a_given_name_may_have_a_folder_but_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "engine.log").write_text("")
    assert create_folder(tmp_path, tmp_path / "r.quant.yaml", "mine") == tmp_path / "mine"
    (tmp_path / "mine" / "run.json").write_text("{}")
    with pytest.raises(QuantError) as caught:
        create_folder(tmp_path, tmp_path / "r.quant.yaml", "mine")
    assert caught.value.code == "run-exists"
    with pytest.raises(QuantError) as caught:
        create_folder(tmp_path, tmp_path / "r.quant.yaml", "../mine")
    assert caught.value.code == "bad-usage"
