"""A point of a run's front as a recipe: it asks for exactly that assignment, and reads as its author wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_engine.check import check
from quant_engine.recipe import Recipe
from quant_engine.recipe_text import as_document, flow, with_quantize
from quant_engine.result import Result
from quant_engine.run import Request, start
from quant_engine.run_directory import read_result
from quant_engine.yaml_source import Source, plain
from small_workspace import make_workspace, quant_engine

RECIPE = """\
# What this is for.
model: model   # the small one
calibration: { data: calibration.jsonl, samples: 8, sequence_length: 32 }
candidates:
  - rtn-w3a16-g32
  - { method: gptq, scheme: W4A16, group_size: 32, damping: 0.02 }   # carefully
  - rtn-w8a16-g64
quantize:
  default: rtn-w4a16-g32   # what the budget replaces
  # As small as it gets.
  budget:
    bits_per_weight: 4.5   # not more
  rules:
    # These stay.
    - { layers: "*.1.mlp.down_proj", use: rtn-w8a16-g32 }   # the worst one
output: quantized
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("back"), blocks=2).parent
    (folder / "own.quant.yaml").write_text(RECIPE)
    done = quant_engine("sensitivity", "own.quant.yaml", "--id", "measured", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def point_of(result: Result, number: int) -> dict[str, str]:
    assert result.pareto is not None
    assignment = result.pareto.points[number - 1].assignment
    return {
        name: result.candidates[candidate]
        for unit, candidate in zip(result.pareto.units, assignment, strict=True)
        for name in unit
    }


@pytest.mark.parametrize("number", [1, 9, -1])
def test_running_the_written_recipe_gives_the_assignment_of_the_point(workspace: Path, number: int) -> None:
    result = read_result(workspace / "runs" / "measured")
    assert result.pareto is not None
    number = number if number > 0 else len(result.pareto.points)
    out = workspace / f"point-{number}.quant.yaml"
    written = quant_engine("recipe", "runs/measured", "--point", str(number), "--out", out, cwd=workspace)
    assert (written.returncode, written.stdout.strip()) == (0, str(out)), written.stderr
    assert check(out).diagnostics == []
    again = start(Request("run", out, device="cpu")).result
    assert again is not None
    expected = point_of(result, number) | {"model.layers.1.mlp.down_proj": "rtn-w8a16-g32"}
    assert {layer.name: layer.applied for layer in again.layers if layer.applied} == expected
    point = result.pareto.points[number - 1]
    assert again.sizes.bits_per_weight == pytest.approx(point.bits_per_weight, rel=1e-12)
    assert again.sizes.quantized_bytes == point.bytes
    assert again.output == str(workspace / f"quantized-point-{number}")


def test_comments_and_the_rules_stay_and_the_budget_goes(workspace: Path) -> None:
    text = quant_engine("recipe", "runs/measured", "--point", "9", cwd=workspace).stdout
    for kept in (
        "# What this is for.\nmodel: model   # the small one\n",
        "damping: 0.02 }   # carefully\n",
        "# what the budget replaces\n",
        '    # These stay.\n    - { layers: "*.1.mlp.down_proj", use: rtn-w8a16-g32 }   # the worst one\n    # Point 9 of ',
    ):
        assert kept in text
    assert "budget:" not in text and "not more" not in text
    assert Recipe.model_validate(plain(Source(text).root)).quantize.budget is None


def test_a_recipe_in_another_folder_finds_the_same_files(workspace: Path) -> None:
    (workspace / "elsewhere").mkdir()
    out = workspace / "elsewhere" / "p.quant.yaml"
    assert quant_engine("recipe", "runs/measured", "--point", "2", "--out", out, cwd=workspace).returncode == 0
    assert quant_engine("check", out).stdout == ""
    assert "model: ../model   # the small one" in out.read_text()
    again = quant_engine("recipe", "runs/measured", "--point", "2", "--out", out, cwd=workspace)
    assert again.returncode == 2 and "exists already" in again.stderr


@pytest.mark.parametrize("number", ["0", "-1", "999"])
def test_a_number_that_is_no_point_is_refused_with_those_that_are(workspace: Path, number: str) -> None:
    refused = quant_engine("recipe", "runs/measured", "--point", number, cwd=workspace)
    assert refused.returncode == 2 and "Its points are 1 (the smallest) to " in refused.stderr


def test_a_run_without_candidates_has_no_front_to_take_a_point_from(workspace: Path) -> None:
    changes = ("candidates=[]", "quantize.budget=null", 'output="plain"')
    assert start(Request("run", workspace / "own.quant.yaml", changes, "cpu", name="plain")).exit_code == 0
    refused = quant_engine("recipe", "runs/plain", "--point", "1", cwd=workspace)
    assert refused.returncode == 2 and "[no-front]" in refused.stderr


def test_what_was_set_on_the_command_line_is_part_of_the_written_recipe(workspace: Path) -> None:
    changes = ("calibration.samples=4", "quantize.rules=[]", "candidates=[rtn-w2a16-g32, rtn-w8a16-g32]", "quantize.budget=null")
    assert start(Request("sensitivity", workspace / "own.quant.yaml", changes, "cpu", name="changed")).exit_code == 0
    text = quant_engine("recipe", "runs/changed", "--point", "1", cwd=workspace).stdout
    recipe = Recipe.model_validate(plain(Source(text).root))
    assert recipe.calibration is not None and recipe.calibration.samples == 4
    assert (recipe.quantize.default, recipe.quantize.rules) == ("rtn-w2a16-g32", [])


RULES = [{"layers": ["*.q_proj"], "use": "rtn-w8a16"}, {"layers": ["a", "b", "c", "d"], "use": {"method": "rtn", "scheme": "W2A16"}}]


@pytest.mark.parametrize(
    "section",
    [
        "quantize: { default: rtn-w4a16, budget: { size: 5 GB } }\n",
        "quantize:\n  default: rtn-w4a16\n",
        "quantize:\n    budget: { size: 5 GB }\n    default: rtn-w4a16",
        "quantize:\n  default: rtn-w4a16\n  rules: []\n",
        "quantize:\n  rules: [{ layers: '*', use: none }]\n  default: rtn-w4a16\n",
        "quantize:\n  rules:\n  - layers: '*'\n    use:\n      method: rtn\n      scheme: W3A16\n  default:\n    method: rtn\n    scheme: W4A16\n",  # noqa: E501
        "quantize:\n  default: &one rtn-w4a16\n  rules:\n    - { layers: a, use: *one }\n",
    ],
)
def test_every_way_to_write_the_section_ends_in_the_same_meaning(section: str) -> None:
    text = f"model: m\n{section if section.endswith(chr(10)) else section + chr(10)}output: o\n"
    before = plain(Source(text).root)
    after = plain(Source(with_quantize(text, "gptq-w3a16", RULES, "a note: #1")).root)
    own = before["quantize"].get("rules", [])
    assert after["quantize"]["default"] == "gptq-w3a16" and "budget" not in after["quantize"]
    assert len(after["quantize"]["rules"]) == len(own) + len(RULES)
    assert after["quantize"]["rules"][: len(own)] == own
    assert {key: after[key] for key in ("model", "output")} == {"model": "m", "output": "o"}


@pytest.mark.parametrize(
    "value",
    ["on", "1e3", "*.q", "a: b", "a #b", "~", "null", "", " a", "5 GB", "C:\\x", "é", 1, 2.5, True, None, [], {}],
)
def test_values_come_back_as_they_were(value: object) -> None:
    assert plain(Source(f"key: {flow(value)}\n").root) == {"key": value}
    document = {"model": value, "quantize": {"default": "x", "rules": [{"layers": ["*"], "use": "none"}]}}
    assert plain(Source(as_document(document)).root) | {"quantize": None} == document | {"quantize": None}
