"""Budgets as people write them: keys, sizes, what the check says, and a run that keeps them to the byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from quant_engine.assignment import Storage
from quant_engine.check import check, recipe_schema
from quant_engine.checkpoint import Checkpoint, LinearInfo
from quant_engine.figures import significant
from quant_engine.formats.scheme import SCHEMES
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.methods import METHODS
from quant_engine.methods.types import Statistics
from quant_engine.recipe import Budget, parse_size
from quant_engine.result import Result
from quant_engine.run import Request, start
from quant_engine.uses import SHORT_USES, parse_short
from small_workspace import make_workspace, quant_engine

RECIPE = """\
model: model
calibration: {{ data: calibration.jsonl, samples: 8, sequence_length: 32 }}
candidates: [{candidates}]
quantize:
  default: rtn-w4a16-g32
  budget: {budget}
  rules: [{rules}]
output: {output}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("budget"), blocks=2).parent


def write(
    workspace: Path,
    budget: str,
    rules: str = "",
    candidates: str = "rtn-w3a16-g32, gptq-w4a16-g64, rtn-w8a16-channel",
    output: str = "nowhere",
) -> Path:
    path = workspace / f"{output}.quant.yaml"
    path.write_text(RECIPE.format(budget=budget, rules=rules, candidates=candidates, output=output))
    return path


def found(path: Path) -> list[tuple[int, int, str, str, str]]:
    return [(one.line, one.column, one.severity, one.code, one.message) for one in check(path).diagnostics]


@pytest.mark.parametrize(
    ("text", "count"),
    [("5 GB", 5 * 10**9), ("900MB", 9 * 10**8), ("4.5 GiB", 9 * 2**29), ("1.5 kB", 1500), ("0.3 B", 0), ("1 KiB", 1024), ("7 B", 7)],
)
def test_sizes_in_decimal_and_binary_units(text: str, count: int) -> None:
    assert parse_size(text) == count == Budget(size=text).size_bytes


@pytest.mark.parametrize("text", ["5", "GB", "-1 GB", "5 gb", "5 GBs", "1e3 MB", "5  GB", "1,5 GB", "", "5 GB\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size; write a number and a unit"):
        parse_size(text)
    with pytest.raises(ValidationError):
        Budget(size=text)


@pytest.mark.parametrize("keys", [{}, {"bits_per_weight": 4, "size": "5 GB"}, {"size": "5 GB", "min_sqnr": 20}])
def test_a_budget_has_exactly_one_key(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="exactly one of bits_per_weight, size, min_sqnr"):
        Budget.model_validate(keys)


def test_the_schema_says_which_keys_exclude_each_other() -> None:
    budget = recipe_schema()["$defs"]["Budget"]
    assert budget["x-exactly-one"] == ["bits_per_weight", "size", "min_sqnr"] == list(budget["properties"])[:3]
    assert budget["x-at-most-one"] == [["min_sqnr", "objective"]]
    assert set(budget["properties"]["objective"]["enum"]) == set(budget["properties"]["objective"]["enumDescriptions"])
    assert budget["properties"]["size"]["examples"] == ["5 GB", "900 MB", "4.5 GiB"]
    assert {value["type"] for value in budget["properties"].values()} == {"number", "string"}
    assert recipe_schema()["x-architectures"]["LlamaForCausalLM"]["fused"][1] == ["mlp.gate_proj", "mlp.up_proj"]


NAMED = "only one of bits_per_weight, size, min_sqnr can be written"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("{}", (6, 3, "error", "missing-key", "missing key: one of bits_per_weight, size, min_sqnr")),
        (
            "{ size: 5 GB, min_sqnr: 20 }",
            (6, 25, "error", "exclusive-keys", f'"min_sqnr" and "size" exclude each other; {NAMED}'),
        ),
        ("{ size: 5 GBs }", (6, 19, "error", "unknown-value", 'unknown value "5 GBs"; write for example 5 GB or 900 MB or 4.5 GiB')),
        ("{ size: 5000000 }", (6, 19, "error", "wrong-type", "expected a string, found a whole number")),
        ("{ min_sqnr: 0 }", (6, 23, "error", "out-of-range", "0 must be above 0")),
        ("{ min_sqnr: }", (6, 13, "error", "wrong-type", "expected a number, found nothing")),
        ("{ bits_per_weight: 33 }", (6, 30, "error", "out-of-range", "33 is above the maximum of 32")),
    ],
)
def test_a_wrong_budget_is_one_precise_finding(workspace: Path, budget: str, expected: tuple[int, int, str, str, str]) -> None:
    assert found(write(workspace, budget)) == [expected]


def test_a_size_that_no_choice_reaches_is_known_from_the_headers_to_the_byte(workspace: Path) -> None:
    ((line, column, _, code, message),) = found(write(workspace, "{ size: 1 B }"))
    assert (line, column, code) == (6, 19, "budget-unreachable")
    match = re.fullmatch(r"no choice of candidates needs only 1 B; the smallest needs ([\d,]+) bytes, the largest ([\d,]+)", message)
    assert match is not None
    least, most = (int(number.replace(",", "")) for number in match.groups())
    assert found(write(workspace, f"{{ size: {least} B }}")) == []
    assert [one[3] for one in found(write(workspace, f"{{ size: {least - 1} B }}"))] == ["budget-unreachable"]
    assert found(write(workspace, f"{{ size: {most - 1} B }}")) == []
    assert [one[3] for one in found(write(workspace, f"{{ size: {most} B }}"))] == ["budget-idle"]


def test_a_quality_that_no_candidate_reaches_fails_without_the_offer_to_continue(workspace: Path) -> None:
    """A resume asks for the same again."""
    recipe = write(workspace, "{ min_sqnr: 190 }")
    failed = quant_engine("run", recipe, "--runs", workspace / "unreached")
    assert failed.returncode == 1 and "[budget-unreachable]" in failed.stderr and "--resume" not in failed.stderr


def test_what_rules_need_counts_for_and_against_a_budget(workspace: Path) -> None:
    """Layers of 2 bits make room for the others; layers of 8 bits take it away."""
    few = '{ layers: "*.mlp.*", use: rtn-w2a16-channel }'
    many = '{ layers: "*.mlp.*", use: rtn-w8a16-channel }'
    assert found(write(workspace, "{ bits_per_weight: 3.2 }", few)) == []
    ((_, _, _, code, message),) = found(write(workspace, "{ bits_per_weight: 6 }", many))
    assert code == "budget-unreachable"
    assert message.startswith("no choice of candidates needs only 6 bits per weight; the smallest needs 6.")


FUSED = "get different schemes; vLLM and SGLang need one for all of them"


@pytest.mark.parametrize(
    ("budget", "rules", "messages"),
    [
        ("null", "{ layers: model.layers.1.self_attn.q_proj, use: rtn-w8a16 }", [f"q_proj, k_proj and v_proj of block 1 {FUSED}"]),
        ("null", "{ layers: '*.up_proj', use: none }", [f"gate_proj and up_proj of block 0 (and 1 more) {FUSED}"]),
        # The method may differ: what is stored is the same.
        ("null", "{ layers: '*.up_proj', use: gptq-w4a16-g32 }", []),
        ("null", "{ layers: '*.self_attn.*', use: rtn-w8a16-channel }", []),
        # The budget may choose 8 bits for the others too, and cannot choose 5.
        ("{ bits_per_weight: 6 }", "{ layers: '*.q_proj', use: gptq-w8a16-channel }", []),
        ("{ bits_per_weight: 6 }", "{ layers: '*0*.q_proj', use: rtn-w5a16-channel }", [f"q_proj, k_proj and v_proj of block 0 {FUSED}"]),
    ],
)
def test_fused_layers_that_a_rule_tears_are_a_warning_at_its_use(workspace: Path, budget: str, rules: str, messages: list[str]) -> None:
    rules = rules.replace("rtn-w8a16 ", "rtn-w8a16-g64 ")
    diagnostics = check(path := write(workspace, budget, rules)).diagnostics
    assert [one.message for one in diagnostics] == messages
    for one in diagnostics:
        assert (one.code, one.severity) == ("fused-layers", "warning")
        use = path.read_text().splitlines()[one.line - 1][one.column - 1 : one.end_column - 1]
        assert use == rules.rpartition("use: ")[2].removesuffix(" }")


def run(path: Path) -> Result:
    outcome = start(Request("run", path, device="cpu"))
    assert outcome.exit_code == 0 and outcome.result is not None
    return outcome.result


def test_a_run_keeps_a_size_to_the_byte_and_fused_layers_together(workspace: Path) -> None:
    limit = 126_000
    result = run(write(workspace, f"{{ size: {limit} B }}", output="sized"))
    written = Checkpoint.open(workspace / "sized").bytes
    assert written == result.sizes.quantized_bytes
    assert limit * 0.96 < written <= limit
    assert result.pareto is not None and result.predicted_loss is not None
    below = [point for point in result.pareto.points if point.bytes <= written]
    assert len(below) > 1 and result.predicted_loss <= below[-1].predicted_loss * (1 + 1e-12)
    applied = {layer.name: layer.applied for layer in result.layers}
    for block in range(2):
        assert len({applied[f"model.layers.{block}.self_attn.{kind}_proj"] for kind in "qkv"}) == 1
        assert len({applied[f"model.layers.{block}.mlp.{kind}_proj"] for kind in ("gate", "up")}) == 1
    assert {layer.rule for layer in result.layers} == {"budget", None} and result.problems == []
    assert len(set(applied.values()) - {None}) > 1


def test_a_run_keeps_a_smallest_sqnr_and_says_what_it_tore(workspace: Path) -> None:
    rules = "{ layers: model.layers.0.self_attn.v_proj, use: rtn-w2a16-channel }"
    result = run(write(workspace, "{ min_sqnr: 18 }", rules, output="clean"))
    for layer in result.layers:
        if layer.rule == "budget":
            assert layer.asked is not None
            reached = {label: one.sqnr_db for label, one in layer.candidates.items() if one.sqnr_db is not None}
            assert reached[layer.asked] >= 18
    (problem,) = result.problems
    assert (problem.code, problem.severity, problem.layer) == ("fused-layers", "warning", "model.layers.0.self_attn.q_proj")
    assert problem.message == f"q_proj, k_proj and v_proj of block 0 {FUSED}"
    assert problem.line == 7


def test_a_limit_out_of_reach_fails_after_measuring_and_names_the_layer(workspace: Path) -> None:
    done = quant_engine("run", write(workspace, "{ min_sqnr: 150 }", output="never"), "--json", cwd=workspace)
    assert done.returncode == 1
    assert "the budget of at least 150 dB cannot be kept: model.layers." in done.stderr + done.stdout
    assert not (workspace / "never").exists()


SUFFIXES = [(48, 96, "-g32"), (31, 72, "-channel"), (8, 256, "-g64")]
FIXED = [(200, 256, ""), (48, 384, "")]
LAYERS = [(name, *shape) for name, scheme in SCHEMES.items() for shape in (SUFFIXES if scheme.regroupable else FIXED)]


@pytest.mark.parametrize(("scheme", "outputs", "inputs", "suffix"), LAYERS)
def test_predicted_bytes_of_a_layer_are_those_of_its_tensors(scheme: str, outputs: int, inputs: int, suffix: str) -> None:
    short = next(name for name, (_, one) in SHORT_USES.items() if one == scheme)
    use = parse_short(f"{short}{suffix}")
    weight = torch.randn(outputs, inputs, dtype=torch.bfloat16)
    statistics = Statistics(torch.eye(inputs, dtype=torch.float64), inputs)
    quantized = METHODS[use.method].quantize(weight, statistics, use.weight_format, use.arguments)
    tensors = checkpoint_tensors("layer", quantized)
    written = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    of_inputs = use.input_format.stored_scale if use.input_format else None
    written += {"input_scale": 2, "input_global_scale": 4, None: 0}[of_inputs]
    layer = LinearInfo("layer", 0, outputs, inputs)
    assert Storage(16, 0, {"layer": 2 * weight.numel()}).added_bytes(layer, use) == written - 2 * weight.numel()


def test_the_result_of_a_sensitivity_run_has_the_front(workspace: Path) -> None:
    done = quant_engine("sensitivity", write(workspace, "null", output="front"), "--json", cwd=workspace)
    document = json.loads(done.stdout)
    assert document["pareto"]["units"][0] == [f"model.layers.0.self_attn.{kind}_proj" for kind in "qkv"]
    assert len(document["pareto"]["points"]) >= 20
    shown = quant_engine("show", next((workspace / "runs").glob("*-front")))
    last = document["pareto"]["points"][-1]
    assert f" {len(document['pareto']['points'])} " in shown.stdout and significant(last["predicted_loss"]) in shown.stdout
