from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quant_engine import __version__
from quant_engine.events import RunRecord
from quant_engine.figures import bits, comparable_decimals, significant, significant_decimals
from quant_engine.protocol import Checkpoint, CheckReport
from quant_engine.result import Result
from quant_engine.uses import parse_short
from small_workspace import environment, files, make_workspace, quant_engine

COMMANDS = ("run", "sensitivity", "check", "inspect", "show", "recipe", "convert", "methods", "doctor", "schema", "serve")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("cli"), blocks=2).parent


@pytest.fixture(scope="module")
def done(workspace: Path) -> subprocess.CompletedProcess[str]:
    return quant_engine("run", "small.quant.yaml", cwd=workspace)


def run_folder(workspace: Path) -> Path:
    return next(path.parent for path in (workspace / "runs").glob("*/result.json"))


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["methods"], ["schema", "--help"]])
def test_help_needs_neither_torch_nor_the_methods_code(arguments: list[str]) -> None:
    shown = quant_engine(*arguments, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert shown.returncode == 0 and "quant_engine.commands" in imported
    assert not imported & {"torch", "transformers", "compressed_tensors", "numpy"}


def test_help_lists_the_commands_and_exit_codes() -> None:
    text = quant_engine("--help").stdout
    assert all(re.search(rf"^\W*{name}\b", text, re.MULTILINE) for name in COMMANDS)
    assert "Exit codes: 0 done, 1 failed, 2 bad usage or bad recipe, 3 done with fallbacks, 130 cancelled." in text


def test_version() -> None:
    assert quant_engine("--version").stdout == __version__ + "\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["run", "--nonsense"], "--nonsense"),
        (["run"], "no recipe is given"),
        (["run", "absent.quant.yaml"], "absent.quant.yaml"),
        (["run", "model"], "is a checkpoint, not a recipe"),
        (["check", "."], "is a folder, not a recipe"),
        (["run", "small.quant.yaml", "--set", "nonsense"], 'it is not path=value'),
        (["run", "small.quant.yaml", "--resume", ".", "--set", "a=1"], "cannot be given with --resume"),
        (["run", "--resume", "."], "is not a run directory"),
        (["run", "small.quant.yaml", "--id", "a/b"], "cannot name a run"),
        (["check"], "recipes"),
        (["check", "absent.quant.yaml"], "absent.quant.yaml"),
        (["inspect", "absent"], "the folder does not exist"),
        (["show", "."], "is not a run directory"),
        (["methods", "gtpq"], 'unknown method "gtpq"; did you mean "gptq"?'),
        (["doctor", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_usage_is_one_clear_error_and_exit_code_2(workspace: Path, arguments: list[str], words: str) -> None:
    refused = quant_engine(*arguments, cwd=workspace)
    assert refused.returncode == 2, refused.stderr
    assert words.lower() in " ".join(refused.stderr.lower().split())
    assert refused.stdout == "" and "Traceback" not in refused.stderr


def test_bad_usage_as_json_is_one_document(workspace: Path) -> None:
    refused = quant_engine("inspect", "absent", "--json", cwd=workspace)
    assert json.loads(refused.stdout)["error"]["code"] == "model-missing"


def test_a_run_prints_layers_scores_and_places(workspace: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    result = Result.model_validate_json((run_folder(workspace) / "result.json").read_text())
    lines = done.stdout.splitlines()
    for layer in result.layers[:14]:
        assert layer.achieved is not None and layer.achieved.sqnr_db is not None
        tail = layer.name.removeprefix(f"model.layers.{layer.block}.")
        (row,) = [line for line in lines if re.match(rf"\s*{layer.block} {re.escape(tail)}\s", line)]
        for label, found in layer.candidates.items():
            mark = "*" if label == layer.applied else " "
            assert f" {found.sqnr_db:.1f}{mark}" in row
        assert f" {layer.applied} " in row and f" {layer.achieved.sqnr_db:.1f} " in row
        assert f" {bits(layer.bits_per_weight)}" in row
    scores = result.scores
    assert scores.perplexity and scores.baseline_perplexity and scores.kl and scores.same_top
    digits = comparable_decimals([scores.baseline_perplexity.value, scores.perplexity.value])
    kl_digits = significant_decimals(scores.kl.value)
    for text in (
        f"{scores.baseline_perplexity.value:.{digits}f} ± {scores.baseline_perplexity.standard_error:.{digits}f}",
        f"{scores.perplexity.value:.{digits}f} ± {scores.perplexity.standard_error:.{digits}f}",
        f"{significant(scores.kl.value)} ± {scores.kl.standard_error:.{kl_digits}f}",
        f"{scores.same_top.value * 100:.1f} ± {scores.same_top.standard_error * 100:.1f} %",
        bits(result.sizes.bits_per_weight),
        str(workspace / "quantized"),
        str(run_folder(workspace)),
    ):
        assert text in done.stdout
    progress = [line for line in done.stderr.splitlines() if line.startswith(("measure: ", "quantize: "))]
    assert [line.partition(" (")[0] for line in progress] == [
        "measure: 3 blocks", "measure: 1/3 block 0", "measure: 2/3 block 1", "measure: 3/3 lm_head",
        "quantize: 2 blocks", "quantize: 1/2 block 0", "quantize: 2/2 block 1",
    ]  # fmt: skip


def test_show_prints_the_same_from_the_stored_result(workspace: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert quant_engine("show", run_folder(workspace)).stdout == done.stdout
    shown = quant_engine("show", run_folder(workspace), "--json")
    assert Result.model_validate_json(shown.stdout).run == run_folder(workspace).name


@pytest.mark.parametrize("width", [80, 120, 200])
def test_reports_fit_the_terminal(workspace: Path, done: subprocess.CompletedProcess[str], width: int) -> None:
    command = [sys.executable, "-m", "quant_engine", "show", str(run_folder(workspace))]
    shown = subprocess.run(command, env=environment(COLUMNS=str(width)), capture_output=True, text=True).stdout
    # Paths are not cut, so that they can be copied.
    assert max(len(line) for line in shown.splitlines() if "directory" not in line and "checkpoint" not in line) <= width
    assert "…" not in shown and "self_attn.q_proj" in shown


@pytest.mark.usefixtures("done")
def test_json_is_the_only_thing_on_stdout(workspace: Path, tmp_path: Path) -> None:
    options = ["--output", tmp_path / "out", "--runs", tmp_path / "runs", "--set", "evaluate=null", "--id", "mine", "--json"]
    ran = quant_engine("run", "small.quant.yaml", *options, cwd=workspace)
    assert ran.returncode == 0
    result = Result.model_validate_json(ran.stdout)
    assert (result.run, result.output) == ("mine", str(tmp_path / "out"))
    assert (tmp_path / "runs" / "mine" / "result.json").exists()
    assert files(tmp_path / "out") == files(workspace / "quantized")
    again = quant_engine("run", "small.quant.yaml", *options, cwd=workspace)
    assert again.returncode == 2
    assert [one.code for one in CheckReport.model_validate_json(again.stdout).diagnostics] == ["output-exists"]
    gone = quant_engine("run", "small.quant.yaml", "--device", "cuda:9", "--runs", tmp_path / "runs", "--json",
                        "--output", tmp_path / "no", cwd=workspace)  # fmt: skip
    assert gone.returncode == 2 and json.loads(gone.stdout)["error"]["code"] == "device-missing"
    (workspace / "held-out-short.txt").write_text("hi")
    short = quant_engine("run", "small.quant.yaml", "--set", "evaluate.data=held-out-short.txt", "--runs", tmp_path / "runs", "--json",
                         "--output", tmp_path / "no", cwd=workspace)  # fmt: skip
    assert short.returncode == 1
    record = RunRecord.model_validate_json(short.stdout)
    assert record.state == "failed" and record.error is not None and record.error.code == "data-short"
    assert "fewer than two sequences" in short.stderr and record.log in short.stderr


def test_sensitivity_prints_the_candidates_only(workspace: Path, tmp_path: Path) -> None:
    ran = quant_engine("sensitivity", "small.quant.yaml", "--runs", tmp_path, cwd=workspace)
    assert ran.returncode == 0, ran.stderr
    assert "SQNR of the candidates" in ran.stdout and "achieved" not in ran.stdout and "perplexity" not in ran.stdout


def test_candidates_that_round_inputs_have_their_weights_beside_them(workspace: Path, tmp_path: Path) -> None:
    options = ["--set", "candidates=[rtn-w4a16-g32, rtn-w8a8, gptq-nvfp4, fp8, rtn-w4a8-g32]", "--runs", tmp_path, "--id", "mine"]
    assert quant_engine("sensitivity", "small.quant.yaml", *options, cwd=workspace).returncode == 0
    result = Result.model_validate_json((tmp_path / "mine" / "result.json").read_text())
    for width in (80, 120):
        command = [sys.executable, "-m", "quant_engine", "show", str(tmp_path / "mine")]
        shown = subprocess.run(command, env=environment(COLUMNS=str(width)), capture_output=True, text=True).stdout
        assert "(alone = inputs as they are)" in shown
        assert max(len(line) for line in shown.splitlines() if "directory" not in line) <= width
        for layer in result.layers:
            name = layer.name.removeprefix(f"model.layers.{layer.block}.")
            number = "" if layer.block is None else str(layer.block)
            rows = [line.split() for line in shown.splitlines() if re.match(rf"\s*{number} {re.escape(name)}\s", line)]
            numbers = [one.rstrip("*!") for row in rows for one in row[1 if layer.block is None else 2 :]]
            expected = []
            for found in layer.candidates.values():
                expected += [f"{found.sqnr_db:.1f}"] + ([] if found.weight_only_db is None else [f"{found.weight_only_db:.1f}"])
            assert numbers == expected and len(expected) == 9


def test_inspect_lists_the_modules(workspace: Path, done: subprocess.CompletedProcess[str]) -> None:
    text = quant_engine("inspect", workspace / "model").stdout
    assert "LlamaForCausalLM" in text and re.search(r"model\.layers\.0\.mlp\.down_proj +64 × 128 +bfloat16 +16 +quantizable", text)
    quantized = Checkpoint.model_validate_json(quant_engine("inspect", workspace / "quantized", "--json").stdout)
    assert quantized.quantization is not None and quantized.quantization.bits == [3, 8]
    modules = {module.name: module for module in quantized.modules}
    assert modules["model.layers.0.mlp.down_proj"].shape == [64, 128]
    assert modules["model.layers.0.mlp.down_proj"].dtype == "packed"
    for layer in Result.model_validate_json((run_folder(workspace) / "result.json").read_text()).layers:
        module = modules[layer.name]
        if layer.achieved is not None:
            assert 8 * module.bytes == layer.achieved.bits_per_weight * module.parameters, layer.name


def test_methods_show_labels_papers_and_each_argument_with_type_range_and_default() -> None:
    text = quant_engine("methods", "gptq").stdout
    flat = " ".join(text.split())
    assert text.startswith("gptq  ") and not re.search(r"^rtn\b", text, re.MULTILINE)
    assert "paper: GPTQ: Accurate Post-Training Quantization" in flat and "https://arxiv.org/abs/2210.17323" in flat
    assert "damping (number, above 0, at most 1) Added to the Gram" in flat
    assert "actorder (string, weight | group | none) `weight`" in flat
    nested = quant_engine("methods", "awq").stdout
    assert re.findall(r"^    method: (\w+)$", nested, re.MULTILINE) == ["rtn", "gptq", "hqq"]
    assert "\n      damping (number, above 0, at most 1)  Added to" in nested and "\n      norm (number" in nested
    listed = {entry["name"]: entry for entry in json.loads(quant_engine("methods", "--json").stdout)}
    assert {"gptq", "rtn"} <= listed.keys()
    for argument in listed["gptq"]["arguments"]:
        assert f"{argument['help']}" in flat and argument["type"] and argument["range"]
        assert f"Default: {argument['default']}" in argument["help"]
    assert not re.search(r" $", text, re.MULTILINE)


def test_every_label_that_methods_lists_is_a_use_of_that_method() -> None:
    text = " ".join(quant_engine("methods").stdout.split())
    for entry in json.loads(quant_engine("methods", "--json").stdout):
        assert [one["scheme"] for one in entry["labels"]] == entry["schemes"]
        for one in entry["labels"]:
            assert re.search(rf"\b{one['label']}\b", text)
            for suffix in ("", *one["suffixes"]):
                use = parse_short(one["label"] + suffix)
                assert (use.method, use.scheme) == (entry["name"], one["scheme"])
            if not one["suffixes"]:
                with pytest.raises(ValueError, match="unknown method and scheme"):
                    parse_short(one["label"] + "-channel")


def test_a_terminal_gets_a_live_display(workspace: Path, tmp_path: Path) -> None:
    """Under a real pseudo-terminal: bars with counters on stderr, the report on stdout."""
    main, child = pty.openpty()
    command = [sys.executable, "-m", "quant_engine", "run", "small.quant.yaml", "--output", str(tmp_path / "out")]
    command += ["--runs", str(tmp_path / "runs"), "--set", "evaluate=null"]
    env = environment(TERM="xterm-256color", COLUMNS="100")
    process = subprocess.Popen(command, cwd=workspace, env=env, stdin=child, stdout=child, stderr=child)
    os.close(child)
    text = ""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        text += part.decode(errors="replace")
    os.close(main)
    assert process.wait(timeout=60) == 0, text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "━" in plain and re.search(r"quantize +━+ +2/2 blocks", plain)
    assert "SQNR of the candidates" in plain
