from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from quant_engine.advice import ADVICE
from quant_engine.check import check
from quant_engine.nearest import distance, nearest
from quant_engine.structure import StructureCheck
from quant_engine.yaml_source import Source
from small_workspace import ENGINE, make_workspace, quant_engine

CORPUS = ENGINE.parent / "test" / "corpus"
CASES = json.loads((CORPUS / "expected.json").read_text())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("check")).parent


def write(workspace: Path, text: str, name: str = "r") -> Path:
    path = workspace / f"{name}.quant.yaml"
    path.write_text(text)
    return path


def agrees(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    """`null` in the corpus: not compared."""
    return all(value is None or found[key] == value for key, value in expected.items())


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_the_corpus_shared_with_the_language_server(case: dict[str, Any]) -> None:
    found = [diagnostic.model_dump() for diagnostic in check(CORPUS / case["file"]).diagnostics]
    left = list(found)
    for expected in case["diagnostics"]:
        match = next((one for one in left if agrees(expected, one)), None)
        assert match is not None, f"not found: {expected}; found: {found}"
        left.remove(match)
    assert left == []


def test_a_good_recipe_gives_the_model_and_no_diagnostic(workspace: Path) -> None:
    checked = check(workspace / "small.quant.yaml")
    assert checked.diagnostics == []
    assert checked.recipe is not None and checked.recipe.calibration is not None and checked.recipe.calibration.samples == 8


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("model: someone/some-model\n", "run hf download someone/some-model --local-dir FOLDER"),
        ("quantize: { default: gptq-w3a16-g16 }\n", "write { method: gptq, scheme: W3A16, group_size: 16 }."),
        ("quantize: gptq-w3a16\n", "Write quantize: { default: gptq-w3a16 }."),
    ],
)
def test_usual_mistakes_get_advice_of_their_own(tmp_path: Path, text: str, advice: str) -> None:
    assert any(advice in found.advice for found in check(write(tmp_path, text)).diagnostics)


def test_a_path_that_is_nearly_right_gets_the_right_one_as_advice(workspace: Path) -> None:
    path = write(workspace, "model: modle\ncalibration: { data: calibration.json }\nevaluate: { data: ./held-oot.txt }\n")
    advice = {found.line: found.advice for found in check(path).diagnostics if found.code in ("model-missing", "data-missing")}
    assert advice == {number: f'Did you mean "{name}"?' for number, name in enumerate(["model", "calibration.jsonl", "./held-out.txt"], 1)}


def test_a_byte_order_mark_does_not_shift_columns(workspace: Path) -> None:
    path = write(workspace, "")
    path.write_bytes("\ufeffmodle: model\n".encode())
    (unknown,) = [found for found in check(path).diagnostics if found.code == "unknown-key"]
    assert (unknown.line, unknown.column) == (1, 1)


def test_a_wrong_override_points_into_the_text(workspace: Path) -> None:
    checked = check(workspace / "small.quant.yaml", overrides=["calibration.samples=0"])
    (found,) = checked.diagnostics
    assert (found.code, found.line, found.column) == ("out-of-range", 2, 50)
    assert found.message == '0 is below the minimum of 1 (by --set "calibration.samples=0")'


def test_group_size_names_the_layer_and_the_sizes_that_fit(workspace: Path) -> None:
    data = "{ data: calibration.jsonl, samples: 4, sequence_length: 32 }"
    recipe = f"model: model\ncalibration: {data}\nquantize: {{ default: rtn-w4a16 }}\noutput: o\n"
    (found,) = check(write(workspace, recipe)).diagnostics
    assert (found.code, found.line, found.column) == ("group-size", 3, 22)
    assert found.message == (
        "group size 128 does not divide the input width 64 of model.layers.0.self_attn.q_proj; sizes that fit: 32, 64"
    )


def test_disk_space_says_how_much_is_missing(workspace: Path) -> None:
    (found,) = check(workspace / "small.quant.yaml", free=lambda path: 1000).diagnostics
    assert found.code == "disk-space"
    assert found.message.endswith('"quantized", 1.0 kB are free')
    assert (found.line, found.column) == (9, 9)
    assert check(workspace / "small.quant.yaml", free=lambda path: 10**9).diagnostics == []


def test_the_disk_estimate_covers_what_is_really_written(workspace: Path, tmp_path: Path) -> None:
    from quant_engine.run import Request, start

    request = Request("run", workspace / "small.quant.yaml", (f"output={tmp_path / 'out'}",), "cpu", tmp_path / "runs")
    sizes: list[int] = []

    def weigh(event: object) -> None:
        sizes.append(
            sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file() and "runs/" in str(file))
        )

    outcome = start(request, on_event=weigh)
    assert outcome.result is not None
    elsewhere = (f"output={tmp_path / 'another'}",)
    (found,) = check(request.recipe, overrides=elsewhere, free=lambda path: 1).diagnostics
    assert found.code == "disk-space"
    written = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.safetensors"))
    amount = found.message.split()[1:3]
    estimate = float(amount[0]) * {"kB": 1e3, "MB": 1e6}[amount[1]]
    assert written + max(sizes) <= estimate <= 3 * (written + max(sizes))


def test_the_command_prints_each_finding_with_what_to_do_and_needs_no_torch(workspace: Path) -> None:
    write(workspace, "model: nowhere\ncalibration: { data: calibration.jsonl }\nquantize: {}\noutput: o\n", "bad")
    done = quant_engine("check", "small.quant.yaml", "bad.quant.yaml", cwd=workspace, python=("-X", "importtime"))
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        'bad.quant.yaml:1:8: error: no checkpoint at "nowhere": the folder does not exist [model-missing]',
        "    Correct the path: it counts from the recipe's folder, and nothing is downloaded.",
        'bad.quant.yaml:3:1: error: missing key "default" [missing-key]',
        "    Add it; the comments of a recipe made by Quantize… show every key.",
    ]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "quant_engine.check" in imported and not imported & {"torch", "transformers"}


def test_every_broken_place_is_told_once(workspace: Path) -> None:
    text = "model: model\ncalibration:\n  data: a\n    samples: 8\nquantize:\n  rules:\n    - layers: a\n       use: none\n\toutput: x\n"
    found = check(write(workspace, text, "places")).diagnostics
    assert [(one.line, one.column, one.code) for one in found] == [(4, 5, "yaml-syntax"), (8, 8, "yaml-syntax"), (9, 1, "yaml-syntax")]


def test_a_tab_separates_but_does_not_indent(workspace: Path) -> None:
    text = (workspace / "small.quant.yaml").read_text()
    separated = text.replace("model: ", "model:\t").replace("calibration: {", "calibration:\t{\t") + " \t\n\t# a comment\n"
    assert check(write(workspace, separated, "tabs")).diagnostics == []


def test_overrides_may_begin_like_an_item_or_hold_a_colon(workspace: Path) -> None:
    for value in ("-quantized", "out:put"):
        assert check(workspace / "small.quant.yaml", overrides=[f"output={value}"]).diagnostics == []


def test_the_command_as_json(workspace: Path) -> None:
    done = quant_engine("check", "--json", "small.quant.yaml", cwd=workspace)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"diagnostics": []})


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "abc", 3), ("ab", "ba", 1), ("gptq", "gtpq", 1), ("ca", "abc", 3), ("kitten", "sitting", 3)],
)
def test_distance_counts_swaps_of_neighbours_once(a: str, b: str, edits: int) -> None:
    assert distance(a, b) == distance(b, a) == edits


def test_nearest_takes_the_first_of_equals_and_nothing_far() -> None:
    assert nearest("smaples", ["sample", "samples"]) == "samples"
    assert nearest("ab", ["ax", "ay"]) == "ax"
    assert nearest("abc", ["wxyz"]) is None
    assert nearest("GPTQ-W4A16", ["gptq-w4a16", "rtn-w4a16"]) == "gptq-w4a16"


def test_four_bit_floats_of_a_float16_model_are_a_warning(tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path)
    text = recipe.read_text()
    recipe.write_text(text.replace("candidates: [", "candidates: [rtn-nvfp4, "))
    assert not [found for found in check(recipe).diagnostics if found.code == "bfloat16-only"]
    shutil.rmtree(tmp_path / "model")
    tiny.save_tiny(tmp_path / "model", dtype=torch.float16)
    (found,) = [found for found in check(recipe).diagnostics if found.code == "bfloat16-only"]
    assert found.severity == "warning" and "dtype is float16" in found.message
    assert recipe.read_text().splitlines()[found.line - 1][found.column - 1 :].startswith("rtn-nvfp4,")


def test_a_deprecated_key_is_a_warning_that_names_the_new_one_and_its_value_is_checked() -> None:
    samples = {"type": "integer", "minimum": 1}
    old = {**samples, "deprecated": True, "x-replaced-by": "samples"}
    schema = {"type": "object", "properties": {"samples": samples, "sequences": old, "order": {"type": "string", "deprecated": True}}}
    found = StructureCheck(schema, Source("sequences: 0\norder: any\n")).findings
    assert [(one.code, one.severity, one.message) for one in found] == [
        ("out-of-range", "error", "0 is below the minimum of 1"),
        ("deprecated-key", "warning", '"sequences" is deprecated; write "samples"'),
        ("deprecated-key", "warning", '"order" is deprecated'),
    ]


def test_no_finding_shows_a_secret(tmp_path: Path) -> None:
    token = "hf_" + "x" * 34
    text = f"model: {token}\napi_key: {token} # {token}\npassword: 'a b'\nquantize: {{ default: a b }}\noutput: out\n{token}: 1\n"
    found = check(write(tmp_path, text)).diagnostics
    assert [one.code for one in found].count("secret") == 5
    assert not [one for one in found if token in one.message + one.advice or "a b" in one.message + one.advice]
    broken = check(write(tmp_path, f"{text}{token}\n")).diagnostics
    assert broken and not [one for one in broken if token in one.message + one.advice]


def test_every_code_has_advice_and_a_section() -> None:
    page = (ENGINE.parent / "docs" / "diagnostics.md").read_text()
    for code in {one["code"] for case in CASES for one in [*case["diagnostics"], *case.get("editor", [])]}:
        assert f"\n## {code}\n" in page and ADVICE[code], code
