"""Bad input through the real command: one clear error that says what, where and what to do; nothing half-written."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_engine.run import Request, start
from small_workspace import make_workspace, quant_engine


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("bad"), blocks=1).parent


@pytest.fixture
def workspace(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "work")


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def truncate(folder: Path) -> None:
    path = folder / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def huge_header(folder: Path) -> None:
    path = folder / "model" / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])


def overlapping(folder: Path) -> None:
    header = {name: {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]} for name in ("a", "b")}
    text = json.dumps(header).encode()
    (folder / "model" / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)


def index_to(shard: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model" / "model.safetensors").rename(folder / "outside.safetensors")
        index = {"metadata": {}, "weight_map": {"lm_head.weight": shard}}
        (folder / "model" / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def pickle_only(folder: Path) -> None:
    (folder / "model" / "model.safetensors").rename(folder / "model" / "pytorch_model.bin")


def unknown_architecture(folder: Path) -> None:
    edit(folder / "model" / "config.json", "LlamaForCausalLM", "LlamaForPoetry")


def whole_numbers(folder: Path) -> None:
    file = folder / "model" / "model.safetensors"
    content = file.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["model.layers.0.self_attn.q_proj.weight"]["dtype"] = "I16"
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def without_tokenizer(folder: Path) -> None:
    for file in (folder / "model").glob("tokenizer*"):
        file.unlink()


def in_config(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def already_quantized(folder: Path) -> None:
    path = folder / "model" / "config.json"
    config = json.loads(path.read_text()) | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    path.write_text(json.dumps(config))


def empty_calibration(folder: Path) -> None:
    (folder / "calibration.jsonl").write_text('{"text": ""}\n\n')


def broken_calibration(folder: Path) -> None:
    (folder / "calibration.jsonl").write_text('{"text": "fine"}\n{"text": \n')


def in_recipe(before: str, after: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "small.quant.yaml", before, after)


def existing_output(folder: Path) -> None:
    (folder / "quantized").mkdir()
    (folder / "quantized" / "precious.txt").write_text("keep me")


def dangling_output(folder: Path) -> None:
    (folder / "quantized").symlink_to(folder / "nowhere")


# What is changed in a good workspace, and what is said about it.
CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (
        truncate,
        r"1:8: error: .*model\.safetensors.* \[model-broken\]",
    ),
    "huge header": (
        huge_header,
        r"1:8: error: .*model\.safetensors.* \[model-broken\]",
    ),
    "overlapping tensors": (
        overlapping,
        r"1:8: error: .*model\.safetensors.* \[model-broken\]",
    ),
    "missing shard": (
        index_to("gone.safetensors"),
        r'1:8: error: .*"gone\.safetensors".* \[model-broken\]',
    ),
    "shard outside": (
        index_to("../outside.safetensors"),
        r"1:8: error: .*outside.* \[model-broken\]",
    ),
    "another width in config.json": (
        in_config(hidden_size=96),
        r"1:8: error: model/config\.json does not describe the weights: it says hidden_size 96, .* \[model-broken\]",
    ),
    "another vocabulary in config.json": (
        in_config(vocab_size=999),
        r"1:8: error: model/config\.json does not describe the weights: it says vocab_size 999, .* \[model-broken\]",
    ),
    "more blocks in config.json": (
        in_config(num_hidden_layers=3),
        r"1:8: error: model/config\.json .*num_hidden_layers 3, the weights have 1 blocks; model\.layers\.1 is missing \[model-broken\]",
    ),
    "whole numbers for weights": (
        whole_numbers,
        r"1:8: error: model is broken: model\.layers\.0\.self_attn\.q_proj\.weight has the dtype I16, .* \[model-broken\]",
    ),
    "no tokenizer": (
        without_tokenizer,
        r'1:8: error: "model" has no tokenizer \[tokenizer\]',
    ),
    "no number of blocks": (
        in_config(num_hidden_layers="many"),
        r"1:8: error: .*num_hidden_layers.* \[model-broken\]",
    ),
    "output below a file": (
        in_recipe("output: quantized", "output: held-out.txt/quantized"),
        r'9:9: error: "held-out\.txt/quantized" cannot be made: ".*held-out\.txt" is not a folder \[output-unwritable\]',
    ),
    "a home that nobody has": (
        in_recipe("model: model", "model: ~nobody-at-all/model"),
        r'1:8: error: no checkpoint at "~nobody-at-all/model": the folder does not exist \[model-missing\]',
    ),
    "a null character": (
        in_recipe("data: calibration.jsonl", 'data: "a\\0b"'),
        r'2:22: error: no file at "a.b" \[data-missing\]',
    ),
    "a name that is too long": (
        in_recipe("model: model", f"model: {'m' * 300}"),
        r'1:8: error: no checkpoint at "m{300}": the folder does not exist \[model-missing\]',
    ),
    "an output that can be no path": (
        in_recipe("output: quantized", f"output: {'q' * 300}"),
        r'9:9: error: "q{300}" cannot be made: it is no path on this system \[output-unwritable\]',
    ),
    "pickle only": (
        pickle_only,
        r'1:8: error: "model" has only pickle weights \(pytorch_model\.bin\).*convert.* \[model-not-safetensors\]',
    ),
    "unknown architecture": (
        unknown_architecture,
        r'1:8: error: architecture "LlamaForPoetry" is not supported; supported: .*Llama.* \[model-unsupported\]',
    ),
    "already quantized": (
        already_quantized,
        r'1:8: error: "model" is already quantized \(gptq\) \[model-quantized\]',
    ),
    "no model": (
        in_recipe("model: model", "model: nowhere"),
        r'1:8: error: no checkpoint at "nowhere".* \[model-missing\]',
    ),
    "group size": (
        in_recipe("default: gptq-w3a16-g32", "default: gptq-w3a16"),
        r"5:12: error: group size 128 does not divide the input width 64 of model\.layers\.0\.self_attn\.q_proj; "
        r"sizes that fit: 32, 64 \[group-size\]",
    ),
    "empty calibration": (
        empty_calibration,
        r'2:22: error: "calibration\.jsonl" has no text \[data-empty\]',
    ),
    "no calibration": (
        in_recipe("calibration.jsonl", "nowhere.jsonl"),
        r'2:22: error: no file at "nowhere\.jsonl" \[data-missing\]',
    ),
    "output exists": (
        existing_output,
        r'9:9: error: "quantized" exists already; choose another folder or remove it \[output-exists\]',
    ),
    "output where nobody can write": (
        in_recipe("output: quantized", "output: /proc/quantized"),
        r'9:9: error: "/proc/quantized" cannot be made: "/proc" cannot be written \[output-unwritable\]',
    ),
    "output is the model": (
        in_recipe("output: quantized", "output: ./model"),
        r"9:9: error: the output is the checkpoint itself \[output-is-model\]",
    ),
    "output in the model": (
        in_recipe("output: quantized", "output: ./model/quantized"),
        r"9:9: error: the output lies inside the checkpoint \[output-is-model\]",
    ),
    "output among the runs": (
        in_recipe("output: quantized", "output: runs"),
        r'9:9: error: "runs" cannot be made: run directories are kept there \[output-unwritable\]',
    ),
    "output that is a link to nowhere": (
        dangling_output,
        r'9:9: error: "quantized" exists already; choose another folder or remove it \[output-exists\]',
    ),
    "unknown key": (
        in_recipe("samples: 8", "smaples: 8"),
        r'2:41: error: unknown key "smaples"; did you mean "samples"\? \[unknown-key\]',
    ),
    "wrong indentation": (
        in_recipe("  default:", " default:"),
        r"\d+:\d+: error: .* \[yaml-syntax\]",
    ),
    "sequence too long": (
        in_recipe("sequence_length: 32, seed", "sequence_length: 512, seed"),
        r"2:70: error: 512 is above the model's maximum of 256 tokens \[sequence-too-long\]",
    ),
    "budget out of reach": (
        in_recipe("quantize:", "quantize:\n  budget: { bits_per_weight: 2 }"),
        r"5:30: error: no choice of candidates needs only 2 bits per weight; the smallest needs 4\.556.* "
        r"\[budget-unreachable\]",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_refused_before_anything_is_made(workspace: Path, name: str) -> None:
    change, pattern = CASES[name]
    change(workspace)
    before = sorted(workspace.rglob("*"))
    refused = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert refused.returncode == 2, refused.stderr
    errors = [line for line in refused.stderr.splitlines() if ": error: " in line]
    assert len(errors) == 1 and re.fullmatch(rf"small\.quant\.yaml:{pattern}", errors[0]), refused.stderr
    assert refused.stdout == "" and "Traceback" not in refused.stderr
    assert sorted(workspace.rglob("*")) == before
    checked = quant_engine("check", "small.quant.yaml", cwd=workspace)
    assert (checked.returncode, checked.stdout.splitlines()) == (2, refused.stderr.splitlines())
    (advice,) = [line for line in checked.stdout.splitlines() if line.startswith("    ")]
    assert re.fullmatch(r" {4}[A-Z].{12,}\.", advice), "one sentence that says what to do"


def test_a_calibration_file_broken_in_the_middle_fails_with_its_line(workspace: Path) -> None:
    broken_calibration(workspace)
    failed = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert failed.returncode == 1
    assert "line 2 is not JSON" in failed.stderr and "[data-broken]" in failed.stderr
    assert not (workspace / "quantized").exists() and not list(workspace.glob(".quantized*"))


def test_held_out_text_that_is_too_short_is_found_before_anything_is_measured(workspace: Path) -> None:
    (workspace / "held-out.txt").write_text("hi")
    failed = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert failed.returncode == 1 and "[data-short]" in failed.stderr
    (run,) = (workspace / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["progress"]["phase"] == "prepare"
    assert not (workspace / "quantized").exists()


def test_a_device_that_is_not_there_is_bad_usage(workspace: Path) -> None:
    refused = quant_engine("run", "small.quant.yaml", "--device", "cuda:99", cwd=workspace)
    assert refused.returncode == 2 and "[device-missing]" in refused.stderr
    assert not (workspace / "runs").exists()


def test_a_full_disk_is_foreseen(workspace: Path) -> None:
    refused = start(Request("run", workspace / "small.quant.yaml", device="cpu"), free=lambda path: 50_000)
    assert refused.exit_code == 2 and refused.record is None
    (found,) = refused.checked.diagnostics
    assert (found.code, found.line, found.column) == ("disk-space", 9, 9)
    assert found.message.startswith("about ") and found.message.endswith('kB are needed for "quantized", 50.0 kB are free')
    assert not (workspace / "quantized").exists() and not (workspace / "runs").exists()


def test_a_disk_that_fills_up_meanwhile_fails_cleanly_and_can_go_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from quant_engine.checkpoint import write
    from quant_engine.run import resume

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, "write_shard", full)
    failed = start(Request("run", workspace / "small.quant.yaml", device="cpu"))
    assert failed.exit_code == 1 and failed.record is not None and failed.folder is not None
    assert failed.record.error is not None
    assert (failed.record.error.code, failed.record.error.line, failed.record.error.column) == ("disk-space", 9, 9)
    assert not (workspace / "quantized").exists() and not list(workspace.glob(".quantized*"))
    monkeypatch.undo()
    assert resume(failed.folder).exit_code == 0
    assert (workspace / "quantized" / "config.json").exists()


def test_an_output_folder_without_permission_is_foreseen(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's answer is replaced, because for root every folder is writable."""
    from quant_engine import check_files

    monkeypatch.setattr(check_files.os, "access", lambda path, mode: False)
    refused = start(Request("run", workspace / "small.quant.yaml", device="cpu"))
    (found,) = refused.checked.diagnostics
    assert (found.code, found.line, found.column) == ("output-unwritable", 9, 9) and found.advice
    assert "cannot be written" in found.message and not (workspace / "runs").exists()


def test_heads_that_do_not_fit_fail_before_calibration_and_offer_no_resume(workspace: Path) -> None:
    in_config(intermediate_size=96)(workspace)
    failed = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert failed.returncode == 1 and "[model-broken]" in failed.stderr and "--resume" not in failed.stderr
    assert "has shape" in failed.stderr and "Traceback" not in failed.stderr


def test_what_was_there_stays(workspace: Path) -> None:
    existing_output(workspace)
    assert quant_engine("run", "small.quant.yaml", cwd=workspace).returncode == 2
    assert (workspace / "quantized" / "precious.txt").read_text() == "keep me"


@pytest.mark.parametrize("change", [truncate, huge_header, index_to("gone.safetensors"), pickle_only])
def test_inspect_says_the_same_of_a_broken_checkpoint(workspace: Path, change: Callable[[Path], None]) -> None:
    change(workspace)
    refused = quant_engine("inspect", "model", cwd=workspace)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "[model-" in refused.stderr and "Traceback" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 2, "one error and what to do"


@pytest.mark.parametrize(("number", "code"), [("ENOSPC", "disk-space"), ("EACCES", "output-write")])
def test_a_run_directory_that_can_no_longer_be_written_is_said(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, number: str, code: str
) -> None:
    import errno

    from quant_engine import events, run_directory

    def refuse(path: Path, text: str) -> None:
        raise OSError(getattr(errno, number), "refused by the disk", str(path))

    def listen(event: events.Event) -> None:
        heard.append(event)
        monkeypatch.setattr(run_directory, "replace_text", refuse)

    heard: list[events.Event] = []
    failed = start(Request("run", workspace / "small.quant.yaml", device="cpu"), on_event=listen)
    assert failed.exit_code == 1 and failed.record is not None and failed.record.error is not None
    assert failed.record.error.code == code and "run.json" in failed.record.error.message
    last = heard[-1]
    assert isinstance(last, events.Failed) and last.problem.code == code
