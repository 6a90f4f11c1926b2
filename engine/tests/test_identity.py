"""A resume is refused when anything that decides the bytes differs, and names it; with all of it equal the bytes are equal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from every_use import every_use, parsed
from quant_engine.result import Result
from small_workspace import ENGINE, environment, files, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
RUN = "stopped"
ENTRIES = ("model", "calibration.jsonl", "held-out.txt", "small.quant.yaml", "runs", RUN)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run that was stopped after its first block; tests leave it as it was."""
    workspace = make_workspace(tmp_path_factory.mktemp("identity"), 2).parent
    command = [sys.executable, INTERRUPTED, "SIGINT", "quantize", 1, "start", workspace / "small.quant.yaml", workspace / "out"]
    command += [workspace / "runs"]
    stopped = subprocess.run([*map(str, command)], env=environment(), capture_output=True, timeout=300, check=False)
    assert stopped.returncode == 130, stopped.stderr
    next((workspace / "runs").iterdir()).rename(workspace / RUN)
    return workspace


@pytest.fixture
def workspace(place: Path) -> Iterator[Path]:
    before = files(place)
    yield place
    for entry in [path for path in place.iterdir() if path.name not in ENTRIES]:
        shutil.rmtree(entry)
    for name, data in before.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def replaced(name: str, old: str, new: str) -> Callable[[Path], dict[str, str]]:
    def change(workspace: Path) -> dict[str, str]:
        text = (workspace / name).read_text()
        assert old in text
        (workspace / name).write_text(text.replace(old, new))
        return {}

    return change


def other_weights(workspace: Path) -> dict[str, str]:
    """One bit of one weight, in a file with the same header and size."""
    file = workspace / "model" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return {}


def other_version(library: str, version: str) -> Callable[[Path], dict[str, str]]:
    """Metadata of another version that Python finds first, as after an upgrade."""

    def change(workspace: Path) -> dict[str, str]:
        about = workspace / "packages" / f"{library}-{version}.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: {version}\n")
        return {"PYTHONPATH": os.pathsep.join([str(ENGINE), str(about.parent)])}

    return change


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (replaced("calibration.jsonl", "the", "teh"), ["calibration tokens"]),
        (other_weights, ["checkpoint.model.safetensors"]),
        (replaced("model/config.json", '"use_cache": true', '"use_cache": false'), ["checkpoint.config.json"]),
        (other_version("scipy", "99.0"), ["version.scipy"]),
        (other_version("compressed_tensors", "0.20.99"), ["version.compressed-tensors"]),
        (lambda _: {"OMP_NUM_THREADS": "1"}, ["device"]),
    ],
    ids=["calibration", "weights", "config", "scipy", "compressed-tensors", "threads"],
)
def test_a_resume_is_refused_and_names_exactly_what_differs(
    workspace: Path, change: Callable[[Path], dict[str, str]], fields: list[str]
) -> None:
    import torch

    if fields == ["device"] and torch.get_num_threads() == 1:
        pytest.skip("one thread is all that this machine has")
    state = files(workspace / RUN / "state")
    variables = environment(**change(workspace))
    command = [sys.executable, "-m", "quant_engine", "run", "--resume", RUN, "--json"]
    refused = subprocess.run(command, cwd=workspace, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode == 2, refused.stderr
    message = json.loads(refused.stdout)["error"]["message"]
    assert json.loads(refused.stdout)["error"]["code"] == "resume-mismatch"
    named = [part.partition(" (was ")[0] for part in message.removeprefix("the run cannot be continued: ").split("; ")]
    assert named == fields
    after = files(workspace / RUN / "state")
    assert {name for name in after.keys() | state.keys() if after.get(name) != state.get(name)} <= {"seconds.json"}
    assert not (workspace / "out").exists()


def test_another_recipe_is_refused_and_its_keys_are_named(workspace: Path) -> None:
    replaced("small.quant.yaml", "samples: 8", "samples: 9")(workspace)
    replaced("small.quant.yaml", "default: gptq-w3a16-g32", "default: gptq-w4a16-g32")(workspace)
    refused = quant_engine("run", "small.quant.yaml", "--resume", RUN, cwd=workspace)
    assert refused.returncode == 2 and "[resume-mismatch]" in refused.stderr
    assert "different: recipe.calibration.samples, recipe.quantize.default" in refused.stderr
    assert not (workspace / "out").exists()


def test_with_everything_as_it_was_the_run_continues(workspace: Path) -> None:
    done = quant_engine("run", "small.quant.yaml", "--resume", RUN, cwd=workspace)
    assert done.returncode == 0, done.stderr
    again = quant_engine("run", "small.quant.yaml", "--output", "again", cwd=workspace)
    assert again.returncode == 0, again.stderr
    assert files(workspace / "out") == files(workspace / "again")


def test_the_same_recipe_gives_the_same_bytes_with_every_method(tmp_path: Path) -> None:
    """Each block with another use, in two processes of one thread, which is faster here; measurements and scores too."""
    uses = every_use(64)
    recipe = make_workspace(tmp_path, len(uses))
    rules = [{"layers": f"model.layers.{index}.*", "use": use} for index, use in enumerate(uses)]
    given = ["--set", f"quantize.rules={json.dumps(rules)}", "--set", "candidates=[rtn-w4a16-g32]"]
    results = []
    for name in ("first", "second"):
        command = [sys.executable, "-m", "quant_engine", "run", str(recipe), "--fresh", "--output", str(tmp_path / name), "--json", *given]
        variables = environment(OMP_NUM_THREADS="1")
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        results.append(Result.model_validate_json(done.stdout))
    assert {layer.applied for layer in results[0].layers} - {None} == {parsed(use).label for use in uses}
    assert files(tmp_path / "first") == files(tmp_path / "second")
    assert (results[0].layers, results[0].scores) == (results[1].layers, results[1].scores)
