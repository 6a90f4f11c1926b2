"""`quant-engine convert` and what other commands say of quantized checkpoints, through the real command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import layouts_by_hand as hand
from quant_engine.conversion import LAYOUTS
from quant_engine.protocol import Checkpoint, Conversion
from small_workspace import environment, files, make_checkpoint, make_workspace, quant_engine
from test_conversion import CONFIG, LAYER, others, source_of


@pytest.fixture(scope="module")
def run_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a recipe of one format wrote: bfloat16, W4A16, groups of 32."""
    recipe = make_workspace(tmp_path_factory.mktemp("convert"), blocks=1)
    options = ["--set", "quantize={default: rtn-w4a16-g32}", "--set", "candidates=[]", "--set", "evaluate=null"]
    done = quant_engine("run", recipe, *options)
    assert done.returncode == 0, done.stderr
    return recipe.parent / "quantized"


def test_the_output_of_a_run_goes_round_all_layouts_and_comes_back_the_same(run_output: Path, tmp_path: Path) -> None:
    for before, to, output in (
        (run_output, "gptq", tmp_path / "1"), (tmp_path / "1", "gptq_v2", tmp_path / "2"),
        (tmp_path / "2", "awq", tmp_path / "3"), (tmp_path / "3", "compressed-tensors", tmp_path / "4"),
    ):  # fmt: skip
        done = quant_engine("convert", before, "--to", to, output)
        assert done.returncode == 0, done.stderr
        assert "every weight is exactly the source's" in done.stdout and str(output) in done.stdout
        assert "read: 7/7" in done.stderr and "convert: 7/7" in done.stderr and "warning" not in done.stderr
    first, last = hand.load(run_output), hand.load(tmp_path / "4")
    assert first.keys() == last.keys()
    for name, tensor in first.items():
        # The scales came back as float16, exactly.
        assert torch.equal(tensor, last[name].to(tensor.dtype)) and (tensor.dtype == last[name].dtype or name.endswith("weight_scale"))
    tokenizer = {name for name in files(run_output) if "token" in name}
    assert tokenizer and all(files(run_output)[name] == files(tmp_path / "4")[name] for name in tokenizer)


def test_json_is_the_only_thing_on_stdout(run_output: Path, tmp_path: Path) -> None:
    done = quant_engine("convert", run_output, tmp_path / "out", "--to", "awq", "--json")
    assert done.returncode == 0, done.stderr
    found = Conversion.model_validate_json(done.stdout)
    assert (found.source_layout, found.layout, found.layers) == ("compressed-tensors", "awq", 7)
    assert (found.quantization.method, found.quantization.format) == ("awq", "gemm")
    assert (found.source, found.output) == (str(run_output), str(tmp_path / "out"))
    refused = quant_engine("convert", run_output, tmp_path / "out", "--to", "awq", "--json")
    assert refused.returncode == 2 and json.loads(refused.stdout)["error"]["code"] == "output-exists"


def test_warnings_and_rounded_scales_are_said(tmp_path: Path) -> None:
    truth = hand.make_truth(32, 128, 4, 32, symmetric=False, dtype=torch.float32)
    source = source_of(tmp_path / "source", "compressed-tensors", truth)
    done = quant_engine("convert", source, "--to", "gptq", tmp_path / "out")
    assert done.returncode == 0 and "128 of 128 scales rounded to float16, the largest change is 0.0" in done.stdout
    assert "warning: " in done.stderr and "Prefer gptq_v2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["model", "--to", "gptq", "out"], "is not quantized", 2),
        (["absent", "--to", "gptq", "out"], "the folder does not exist", 2),
        (["source", "--to", "gptqv2", "out"], 'unknown format "gptqv2"; did you mean "gptq_v2"?', 2),
        (["source", "out"], "--to", 2),
        (["source", "--to", "awq", "out"], "AWQ has 4 bits, and the layer has 8", 2),
        (["source", "--to", "gptq", "model"], "exists already", 2),
        (["broken", "--to", "gptq", "out"], "its largest scale is 1e+06", 1),
    ],
)
def test_what_is_refused_is_one_clear_error(arguments: list[str], words: str, code: int, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "model", blocks=1)
    truth = hand.make_truth(32, 128, 8, 32, symmetric=True, dtype=torch.float32)
    source_of(tmp_path / "source", "compressed-tensors", truth)
    truth.scales[0, 0] = 1e6
    source_of(tmp_path / "broken", "compressed-tensors", truth)
    before = files(tmp_path)
    refused = quant_engine("convert", *arguments, cwd=tmp_path)
    assert refused.returncode == code, refused.stderr
    assert words in " ".join(refused.stderr.split()) and refused.stdout == "" and "Traceback" not in refused.stderr
    assert files(tmp_path) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_nothing(number: str, tmp_path: Path) -> None:
    truths = {f"{LAYER}{index}": hand.make_truth(32, 128, 4, 32, symmetric=True, seed=index) for index in range(3)}
    source = hand.save(tmp_path / "source", "gptq", truths, others(), CONFIG)
    script = Path(__file__).with_name("interrupted_conversion.py")
    for layers in (1, 3):
        command = [sys.executable, str(script), number, str(layers), str(source), "awq", str(tmp_path / "deep" / "out")]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 130 and ended.stderr == "Cancelled; nothing was written.\n"
        assert [path.name for path in tmp_path.iterdir()] == ["source"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_help_names_every_layout_and_needs_no_torch() -> None:
    shown = quant_engine("convert", "--help", python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert shown.returncode == 0 and not imported & {"torch", "transformers", "numpy", "compressed_tensors"}
    assert all(name in shown.stdout for name in LAYOUTS)


def test_refusing_a_format_needs_no_torch(tmp_path: Path) -> None:
    refused = quant_engine("convert", tmp_path, "--to", "gguf", tmp_path / "out", python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in refused.stderr.splitlines() if "import time" in line}
    assert refused.returncode == 2 and "torch" not in imported


@pytest.mark.parametrize(
    ("layout", "size", "line"),
    [
        ("gptq", 32, "quantized: gptq, 4 bits, groups of 32, asymmetric"),
        ("gptq_v2", -1, "quantized: gptq, gptq_v2, 4 bits, one scale for each output, asymmetric"),
        ("awq", 64, "quantized: awq, gemm, 4 bits, groups of 64, asymmetric"),
        ("compressed-tensors", 128, "quantized: compressed-tensors, pack-quantized, 4 bits, groups of 128, asymmetric"),
    ],
)
def test_inspect_shows_the_quantization_and_real_shapes(layout: str, size: int, line: str, tmp_path: Path) -> None:
    source = source_of(tmp_path / "source", layout, hand.make_truth(48 if layout == "awq" else 32, 128, 4, size, symmetric=False))
    shown = quant_engine("inspect", source)
    assert line in shown.stdout.splitlines()
    assert f"{LAYER} {48 if layout == 'awq' else 32} × 128 packed" in " ".join(shown.stdout.split())
    document = Checkpoint.model_validate_json(quant_engine("inspect", source, "--json").stdout)
    assert document.quantization is not None and document.quantization.group_sizes == [size] and not document.quantization.symmetric


def test_a_recipe_cannot_take_a_converted_checkpoint(tmp_path: Path, run_output: Path) -> None:
    recipe = make_workspace(tmp_path / "work", blocks=1)
    assert quant_engine("convert", run_output, "--to", "gptq_v2", tmp_path / "converted").returncode == 0
    recipe.write_text(recipe.read_text().replace("model: model", "model: ../converted"))
    checked = quant_engine("check", recipe)
    assert checked.returncode == 2 and '"../converted" is already quantized (gptq) [model-quantized]' in checked.stdout
