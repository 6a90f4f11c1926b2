"""SIGKILL at random moments of runs of every method: the output is complete or absent, and after a resume the uninterrupted run's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

from quant_engine.methods import METHODS
from small_workspace import ENGINE, environment

BENCH = ENGINE / "benches" / "kill_bench.py"
KILLS = 56


def test_whenever_a_run_is_killed_it_continues_to_the_same_bytes() -> None:
    """The bench with few kills, always at the same fractions of a run's time and the same file operations."""
    command = [sys.executable, str(BENCH), "--kills", str(KILLS), "--json"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode in (0, 1), done.stderr
    trials = json.loads(done.stdout)
    assert [trial for trial in trials if trial["wrong"]] == []
    kills = Counter(phase for trial in trials for _, phase in trial["kills"])
    assert sum(kills.values()) >= 50
    assert {"before", "prepare", "importance", "measure", "choose", "quantize", "write", "evaluate"} <= set(kills)
    recipes = {trial["recipe"] for trial in trials if trial["kills"]}
    assert set(METHODS) <= {name.partition(" ")[0] for name in recipes}, "a recipe's name begins with its method's"
