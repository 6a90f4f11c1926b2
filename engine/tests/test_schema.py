from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quant_engine import schema
from small_workspace import ENGINE, environment, make_workspace, quant_engine

SCHEMAS = ENGINE.parent / "schemas"


def test_the_committed_schemas_are_those_of_the_models() -> None:
    assert schema.stale(SCHEMAS) == []
    assert quant_engine("schema", "--check", "--out", SCHEMAS).returncode == 0


def test_a_stale_file_is_named_and_left_alone(tmp_path: Path) -> None:
    assert quant_engine("schema", "--out", tmp_path).returncode == 0
    changed = tmp_path / "recipe.schema.json"
    changed.write_text(changed.read_text().replace("samples", "sampels"))
    before = changed.read_bytes()
    done = quant_engine("schema", "--check", "--out", tmp_path)
    assert done.returncode == 1
    assert "recipe.schema.json is not up to date" in done.stderr
    assert changed.read_bytes() == before


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the engine with one more file: all that adding a method takes."""
    folder = tmp_path_factory.mktemp("engine")
    shutil.copytree(ENGINE / "quant_engine", folder / "quant_engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("toy_method.py"), folder / "quant_engine" / "methods" / "toy.py")
    return folder


def toy_engine(engine: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quant_engine", *map(str, arguments)]
    environ = environment(PYTHONPATH=str(engine))
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300, check=False)


def test_one_new_file_is_a_method_in_schema_help_check_and_run(with_toy: Path, tmp_path: Path) -> None:
    toy_engine(with_toy, "schema", "--out", tmp_path / "schemas", cwd=tmp_path)
    document = json.loads((tmp_path / "schemas" / "recipe.schema.json").read_text())
    assert document["$defs"]["ToyUse"]["properties"]["zeal"]["maximum"] == 9
    assert "toy-w4a16" in document["$defs"]["ShortUse"]["anyOf"][0]["enum"]
    paper = {"title": "On Toys", "url": "https://example.org/toys"}
    assert document["x-methods"]["toy"] == {"title": "Toy", "needs_calibration": False, "paper": paper}

    (listed,) = json.loads(toy_engine(with_toy, "methods", "toy", "--json", cwd=tmp_path).stdout)
    assert listed["arguments"][0] | {"schema": None} == {
        "name": "zeal", "type": "integer", "range": "at least 1, at most 9", "default": 3, "help": "How hard it tries.", "schema": None
    }  # fmt: skip

    recipe = make_workspace(tmp_path / "work", blocks=1)
    text = recipe.read_text().replace("default: gptq-w3a16-g32", "default: toy-w4a16-g32")
    recipe.write_text(text.replace("candidates: [", "candidates: [toy-w4a16-g32, "))
    assert toy_engine(with_toy, "check", recipe, cwd=tmp_path).stdout == ""
    assert toy_engine(with_toy, "check", recipe, cwd=tmp_path).returncode == 0
    assert quant_engine("check", recipe).returncode == 2

    done = toy_engine(with_toy, "run", recipe, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    layer = json.loads(done.stdout)["layers"][0]
    assert layer["applied"] == "toy-w4a16-g32"
    assert layer["candidates"]["toy-w4a16-g32"]["sqnr_db"] == layer["candidates"]["rtn-w4a16-g32"]["sqnr_db"]


def test_the_method_in_the_guide_works(tmp_path: Path) -> None:
    guide = (ENGINE.parent / "CONTRIBUTING.md").read_text()
    code = guide.split("## Adding a method", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    engine = tmp_path / "engine"
    shutil.copytree(ENGINE / "quant_engine", engine / "quant_engine", ignore=shutil.ignore_patterns("__pycache__"))
    (engine / "quant_engine" / "methods" / "clip.py").write_text(code)
    recipe = make_workspace(tmp_path / "work", blocks=1)
    uses = "[rtn-w4a16-g32, clip-w4a16-g32, { method: clip, scheme: W4A16, group_size: 32, ratio: 1 }]"
    recipe.write_text(recipe.read_text().replace("[rtn-w4a16-g32, gptq-w3a16-g32]", uses))
    done = toy_engine(engine, "run", recipe, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for layer in json.loads(done.stdout)["layers"]:
        plain, clipped, whole = (found["sqnr_db"] for found in layer["candidates"].values())
        assert whole == plain != clipped, "the whole range is plain rounding"


def test_a_fallback_is_exit_code_3_an_event_and_a_problem_at_its_key(with_toy: Path, tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, blocks=1)
    use = "{ method: toy, scheme: W4A16, group_size: 32, zeal: 9 }"
    recipe.write_text(recipe.read_text().replace("{ method: rtn, scheme: W8A16, group_size: 64 }", use))
    done = toy_engine(with_toy, "run", recipe, "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    result = json.loads(done.stdout)
    (problem,) = result["problems"]
    assert problem["code"] == "fallback" and "too much zeal" in problem["message"]
    assert problem["layer"] == "model.layers.0.mlp.down_proj"
    line = recipe.read_text().splitlines()[problem["line"] - 1]
    assert line[problem["column"] - 1 : problem["end_column"] - 1] == use
    (folder,) = (tmp_path / "runs").iterdir()
    events = [json.loads(text) for text in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["layer"] for event in events if event["type"] == "fallback"] == ["model.layers.0.mlp.down_proj"]
    assert events[-1] | {"time": "", "sequence": 0} == {
        "sequence": 0, "time": "", "type": "done", "state": "done-with-fallbacks", "output": str(tmp_path / "quantized")
    }  # fmt: skip
