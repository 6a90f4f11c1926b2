"""Kills runs of every method at random moments, resumes them, and compares what they wrote with uninterrupted runs.

    python engine/benches/kill_bench.py [--kills 500] [--seed 0] [--json]

Recipes are made from the registry: every method with each kind of format that it can write and each value of its named arguments, and
budgets with both objectives, experts, and a run without calibration. A third of the kills comes by the clock, a third before a file
operation that is drawn at random, the rest at the end of a unit of a phase; every fourth trial is killed twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import torch  # noqa: E402 - the environment comes first
import transformers  # noqa: E402, F401 - for the children

from every_use import every_use, parsed, uses_of  # noqa: E402
from killing import Moment, Trial, Whole, trial, whole_run  # noqa: E402
from quant_engine.methods import METHODS  # noqa: E402
from small_workspace import make_workspace  # noqa: E402

WIDTH = 128
RECIPE = """\
model: {model}
calibration: {{ data: calibration.jsonl, samples: 8, sequence_length: 32 }}
candidates: {candidates}
quantize: {quantize}
evaluate: {{ data: held-out.txt, samples: 4, sequence_length: 32 }}
output: unused
output_format: {output}
"""


def write_recipes(folder: Path) -> list[Path]:
    make_workspace(folder, 2, hidden_size=WIDTH, intermediate_size=2 * WIDTH)
    make_workspace(folder / "experts", 1, "mixtral")
    texts = {f"{use['method']} {parsed(use).label}": ("model", "[]", json.dumps({"default": use})) for use in every_use(WIDTH)}
    ordered = {"method": "gptq", "scheme": "W4A16", "group_size": 32, "actorder": "group"}
    texts["gptq output"] = ("model", json.dumps([ordered, "rtn-w8a16-channel"]), json.dumps({"default": ordered}))
    every = json.dumps([next(iter(uses_of(method, WIDTH))) for method in METHODS.values()])
    for objective in ("noise", "importance"):
        budget = {"default": "rtn-w4a16", "budget": {"bits_per_weight": 6, "objective": objective}}
        texts[f"budget-{objective}"] = ("model", every, json.dumps(budget))
    rules = [{"layers": "lm_head", "use": "rtn-w8a16-channel"}, {"layers": "*.up_proj", "use": "none"}]
    head = {"default": "gptq-w3a16-g32", "rules": rules}
    texts["rules"] = ("model", "[gptq-w3a16-g32, smoothquant-w8a8]", json.dumps(head))
    texts["experts"] = ("experts/model", "[gptq-w4a16-g32, rtn-w4a16-g32]", json.dumps({"default": "gptq-w4a16-g32"}))
    recipes = []
    for name, (model, candidates, quantize) in texts.items():
        recipes.append(folder / f"{name}.quant.yaml")
        output = "gptq" if name == "gptq output" else "compressed-tensors"
        recipes[-1].write_text(RECIPE.format(model=model, candidates=candidates, quantize=quantize, output=output))
    return [*recipes, without_calibration(recipes[-1])]


def without_calibration(recipe: Path) -> Path:
    """The recipe on the other model, with what needs no data, streamed."""
    rules = [
        {"layers": "lm_head", "use": "rtn-w8a8"}, {"layers": "*.up_proj", "use": "none"}, {"layers": "*.down_proj", "use": "fp8_block"},
        {"layers": "*.o_proj", "use": "hqq-w4a16_asym-g32"},
    ]  # fmt: skip
    quantize = {"default": "rtn-w4a16-g32", "budget": {"bits_per_weight": 6, "objective": "noise"}, "rules": rules}
    own = {"model": "model", "candidates": "[rtn-w4a16-g32, fp8_dynamic, rtn-w8a16]", "quantize": json.dumps(quantize)}
    entries = (line.partition(": ") for line in recipe.read_text().splitlines())
    streamed = recipe.with_name("streamed.quant.yaml")
    streamed.write_text("".join(f"{key}: {own.get(key, value)}\n" for key, _, value in entries if key != "calibration"))
    return streamed


def moments(whole: Whole, number: int, rng: random.Random) -> list[Moment]:
    """Of trial `number` of a recipe: by the clock, by file operations, by the phases in turn; every fourth with a second kill."""
    kinds = [
        Moment(seconds=rng.uniform(0, whole.seconds)),
        Moment(operation=rng.randint(1, whole.operations)),
        in_phase(whole, list(whole.units)[number % len(whole.units)], rng),
    ]
    second = [Moment(operation=rng.randint(1, whole.operations // 3))] if number % 4 == 3 else []
    return [kinds[number % 3], *second]


def in_phase(whole: Whole, phase: str, rng: random.Random) -> Moment:
    return Moment(at=(phase, rng.randint(1, whole.units[phase])))


def campaign(folder: Path, kills: int, seed: int) -> list[Trial]:
    """At least `kills` trials, the same number for each recipe, and one more for each phase of the recipe that has most of them."""
    recipes = write_recipes(folder)
    wholes = [whole_run(recipe, folder / "whole" / recipe.stem) for recipe in recipes]
    done: list[Trial] = []
    for index, recipe in enumerate(recipes):
        print(f"{index + 1}/{len(recipes)} {recipe.stem}, {sum(bool(one.wrong) for one in done)} wrong so far", file=sys.stderr, flush=True)
        for number in range(-(-kills // len(recipes))):
            # Shifted from recipe to recipe, so that few trials of each still meet every kind and every phase.
            rng, turn = random.Random(f"{seed} {recipe.stem} {number}"), number + index
            place = folder / "trials" / f"{recipe.stem}-{number}"
            done.append(trial(recipe, place, wholes[index], moments(wholes[index], turn, rng), rng))
    longest = max(range(len(recipes)), key=lambda index: len(wholes[index].units))
    for phase in wholes[longest].units:
        rng, place = random.Random(f"{seed} {phase}"), folder / "trials" / phase
        done.append(trial(recipes[longest], place, wholes[longest], [in_phase(wholes[longest], phase, rng)], rng))
    return done


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print every trial as JSON")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trials = campaign(Path(folder), asked.kills, asked.seed)
    wrong = [one for one in trials if one.wrong]
    if asked.json:
        print(json.dumps([asdict(one) for one in trials]))
        return 1 if wrong else 0
    phases = Counter(phase for one in trials for _, phase in one.kills)
    recipes, seconds = len({one.recipe for one in trials}), time.monotonic() - started
    print(f"{sum(phases.values())} kills in {len(trials)} runs of {recipes} recipes, {seconds:.0f} s")
    print("killed in: " + ", ".join(f"{phase} {count}" for phase, count in phases.most_common()))
    print(f"{len(wrong)} did not end in the bytes of the uninterrupted run")
    for one in wrong:
        print(f"  {one.recipe} {one.kills}: {one.wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
