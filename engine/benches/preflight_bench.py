"""What `quant-engine preflight` says beside what the run then takes, phase by phase; prints Markdown.

    python engine/benches/preflight_bench.py RECIPE … [--set path=value …] [--work DIR]

Memory is resident memory of the run's process, looked at every few milliseconds and put down to the phase that its events say.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

ENGINE = Path(__file__).resolve().parents[1]
_PERIOD = 0.003


def command(action: str, recipe: Path, overrides: list[str], runs: Path) -> list[str]:
    options = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "-m", "quant_engine", action, str(recipe), "--runs", str(runs), "--device", "cpu", "--json", *options]


def run(arguments: list[str], environment: dict[str, str]) -> tuple[dict, list[tuple[float, int]]]:
    """The command's document, and (time, resident bytes) of its process."""
    looks = []
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(arguments, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        process = psutil.Process(child.pid)
        while child.poll() is None:
            with suppress(psutil.NoSuchProcess):
                looks.append((time.time(), process.memory_info().rss))
            time.sleep(_PERIOD)
        output.seek(0)
        text = output.read()
    if child.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}: {text[-2000:]}")
    return json.loads(text), looks


def by_phase(events: Path, looks: list[tuple[float, int]]) -> dict[str, int]:
    """The highest resident bytes in each phase."""
    starts: list[tuple[float, str]] = []
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "phase":
            starts.append((datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp(), event["phase"]))
    peaks: dict[str, int] = {}
    for at, resident in looks:
        phase = next((name for start, name in reversed(starts) if start <= at), None)
        if phase is not None:
            peaks[phase] = max(peaks.get(phase, 0), resident)
    return peaks


def compare(recipe: Path, overrides: list[str], work: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ENGINE), "HF_HUB_OFFLINE": "1"}
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    overrides = [*overrides, f"output={work / 'output'}"]
    said, _ = run(command("preflight", recipe, overrides, work / "runs"), environment)
    result, looks = run(command("run", recipe, overrides, work / "runs"), environment)
    (folder,) = (work / "runs").iterdir()
    peaks = by_phase(folder / "events.jsonl", looks)
    written = sum(file.stat().st_size for file in (work / "output").iterdir())
    print(f"\n### {recipe.name} {' '.join(overrides[:-1])}\n")
    print(f"{said['architecture']}, {said['calibration_tokens']:,} tokens; probe {said['probe_seconds']:.1f} s\n")
    print("| phase | predicted, s | measured, s | ratio | predicted, MB | measured, MB | ratio |\n|---|---|---|---|---|---|---|")
    rows = [(phase["phase"], phase["seconds"], result["seconds"].get(phase["phase"], 0.0), phase["host_bytes"]) for phase in said["phases"]]
    for name, seconds, took, memory in rows:
        print(_row(name, seconds, took, memory, peaks.get(name, 0)))
    print(_row("all", said["seconds"], sum(result["seconds"].values()), said["host_bytes"], result["peak_memory_bytes"]))
    output, sizes = said["output"], result["sizes"]
    exact = "exact" if output["exact"] else "likely"
    print(f"\nTensors {output['tensor_bytes']:,} ({exact}) and {sizes['quantized_bytes']:,} bytes, files {output['file_bytes']:,}")
    print(f"and {written:,} bytes; {output['bits_per_weight']:.4f} and {sizes['bits_per_weight']:.4f} bits per weight.", flush=True)


def _row(name: str, seconds: float, took: float, memory: int, had: int) -> str:
    times = f"{seconds:.2f} | {took:.2f} | {seconds / took if took else 0:.2f}"
    return f"| {name} | {times} | {memory / 1e6:.0f} | {had / 1e6:.0f} | {memory / had if had else 0:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--work", type=Path, default=Path(".bench/preflight"))
    options = parser.parse_args()
    for recipe in options.recipes:
        compare(recipe.resolve(), options.overrides, options.work.resolve())


if __name__ == "__main__":
    main()
