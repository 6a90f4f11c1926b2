"""`npm run bench`: the engine beside llm-compressor, and the sensitivity pass beside the naive loop; prints Markdown.

Everything that is compared is measured in this one run, one after the other, on the same checkpoint, tokens and scheme.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy

import rival_environment
from measured_process import Measured, run
from quant_engine.checkpoint import Checkpoint
from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SAMPLE = ROOT / "samples/checkpoints/tiny-llama-pydoc"
ENVIRONMENT = {"PYTHONPATH": str(ROOT / "engine"), "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

RECIPE = """\
model: {model}
calibration: {{ data: {data}, samples: {samples}, sequence_length: {length}, seed: 0 }}
quantize:
  default: {use}
  rules:
    - {{ layers: lm_head, use: none }}
output: {output}
"""


USES = {
    "gptq": "{ method: gptq, scheme: W4A16, group_size: 128, damping: 0.01, actorder: weight }",
    # The rival's AWQ has no clip search.
    "awq": "{ method: awq, scheme: W4A16, group_size: 128, grid: 20, clip: false }",
    "smoothquant": "{ method: smoothquant, scheme: W8A8, strength: 0.5 }",
    "smoothquant-gptq": "{ method: smoothquant, scheme: W8A8, strength: 0.5, rounding: gptq }",
}
"""What the engine is asked for beside each recipe of rival.py."""
TITLES = {
    "gptq": "GPTQ W4A16 g128",
    "awq": "AWQ W4A16 g128, scale search alone",
    "smoothquant": "SmoothQuant W8A8",
    "smoothquant-gptq": "SmoothQuant and GPTQ, W8A8",
}


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def save_tokens(checkpoint: Path, work: Path, samples: int, length: int) -> tuple[Path, Path]:
    """Token files (sequences × length) for calibration and for the held-out perplexity."""
    tokenizer = load_tokenizer(checkpoint)
    calibration = calibration_tokens(tokenizer, ROOT / "samples/calibration.jsonl", samples, length, 0)
    held_out = held_out_tokens(tokenizer, ROOT / "samples/held-out.txt", 64, length)
    files = work / "calibration.npy", work / "held-out.npy"
    for file, data in zip(files, (calibration, held_out), strict=True):
        numpy.save(file, numpy.concatenate([batch.numpy() for batch in data.batches]))
    return files


def quantize_engine(checkpoint: Path, work: Path, samples: int, length: int, method: str) -> tuple[Measured, dict[str, float]]:
    output = work / "engine"
    recipe = work / "bench.quant.yaml"
    data = ROOT / "samples/calibration.jsonl"
    recipe.write_text(RECIPE.format(model=checkpoint, data=data, samples=samples, length=length, output=output, use=USES[method]))
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "quant_engine", "run", str(recipe), "--runs", str(work / "runs"), "--json"]
    measured = run(command, work / "engine.log", ENVIRONMENT)
    return measured, json.loads(measured.output)["seconds"]


def quantize_rival(python: Path, checkpoint: Path, work: Path, tokens: Path, method: str) -> tuple[Measured, dict[str, float]]:
    output = work / "llm-compressor"
    shutil.rmtree(output, ignore_errors=True)
    command = [str(python), str(HERE / "rival.py"), str(checkpoint), str(tokens), str(output), method]
    measured = run(command, work / "llm-compressor.log", {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"})
    return measured, json.loads((output / "times.json").read_text())


def perplexity(checkpoint: Path, tokens: Path, work: Path) -> float:
    command = [sys.executable, str(HERE / "perplexity.py"), str(checkpoint), str(tokens)]
    return float(run(command, work / "perplexity.log", ENVIRONMENT).output.split()[-1])


def against_rival(
    python: Path, checkpoint: Path, name: str, work: Path, samples: int, length: int, rounds: int, method: str = "gptq"
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    calibration, held_out = save_tokens(checkpoint, work, samples, length)
    process, step, memory = [], [], []
    for index in range(rounds):
        note(f"{name}: round {index + 1} of {rounds}: engine")
        ours, phases = quantize_engine(checkpoint, work, samples, length, method)
        note(f"{name}: round {index + 1} of {rounds}: llm-compressor")
        theirs, times = quantize_rival(python, checkpoint, work, calibration, method)
        process.append((ours.seconds, theirs.seconds))
        step.append((phases["quantize"], times["quantize"]))
        memory.append((ours.peak_bytes, theirs.peak_bytes))
        note(f"  engine {ours.seconds:.1f} s {phases}, llm-compressor {theirs.seconds:.1f} s {times}")
    size = Checkpoint.open(checkpoint)
    print(f"\n### {TITLES[method]} on {name}: {size.parameters / 1e6:.1f} M parameters, {samples} × {length} tokens, {size.dtype}\n")
    print("| | engine | llm-compressor | ratio |\n|---|---|---|---|")
    for title, pairs, scale in (
        ("quantization step, s", step, 1.0),
        ("whole process (imports, load, quantize, write), s", process, 1.0),
        ("peak resident memory, MB", memory, 1e6),
    ):
        ours_median, theirs_median = (statistics.median(pair[side] for pair in pairs) / scale for side in (0, 1))
        ratios = [pair[1] / pair[0] for pair in pairs]
        spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if rounds > 1 else ""
        print(f"| {title} | {ours_median:.2f} | {theirs_median:.2f} | {statistics.median(ratios):.2f}×{spread} |")
    figures = [perplexity(path, held_out, work) for path in (checkpoint, work / "engine", work / "llm-compressor")]
    print(f"| held-out perplexity by transformers (original {figures[0]:.4f}) | {figures[1]:.4f} | {figures[2]:.4f} | |")


def widened(work: Path, blocks: int) -> Path:
    """The sample four times as wide, with another number of blocks."""
    checkpoint = work / f"wide-{blocks}-blocks"
    if not (checkpoint / "config.json").is_file():
        run([sys.executable, str(HERE / "widen.py"), str(SAMPLE), str(checkpoint), "4", str(blocks)], work / "widen.log", ENVIRONMENT)
    return checkpoint


def depth(work: Path, blocks: Sequence[int], samples: int, length: int) -> None:
    """Peak memory of the same run on models that differ in depth alone."""
    print(f"\n### Peak memory and depth: {TITLES['gptq']}, the sample widened 4×, {samples} × {length} tokens\n")
    print("| blocks | checkpoint, MB | peak resident memory, MB |\n|---|---|---|")
    for number in blocks:
        note(f"depth: {number} blocks")
        checkpoint = widened(work, number)
        measured, _ = quantize_engine(checkpoint, work, samples, length, "gptq")
        print(f"| {number} | {Checkpoint.open(checkpoint).bytes / 1e6:.0f} | {measured.peak_bytes / 1e6:.0f} |")


def sensitivity(
    modelopt: Path, checkpoint: Path, name: str, work: Path, samples: int, length: int, sequences: int, layers: int | None = None
) -> None:
    """modelopt: Python of its environment. sequences: of the samples, that ModelOpt sees. layers: of how many the slowest way is measured;
    None: of all."""
    note(f"sensitivity of {name}: engine, all candidates in hooks, a forward for each")
    data = ROOT / "samples/calibration.jsonl"
    command = [sys.executable, str(HERE / "sensitivity_bench.py"), str(checkpoint), str(data), str(samples), str(length)]
    command += ["--layers", str(layers)] if layers else []
    found = json.loads(run(command, work / "sensitivity.log", ENVIRONMENT).output.splitlines()[-1])
    seconds, part = found["engine_seconds"], ""
    if found["forwards_layers"] < found["layers"]:
        part = f", from {found['forwards_layers']} of the layers"
    print(f"\n### Sensitivity: {found['candidates']} candidates × {found['layers']} layers of {name}, {samples} × {length} tokens\n")
    print("| | s | ratio | largest difference of SQNR, dB |\n|---|---|---|---|")
    print(f"| engine, from loading to the last SQNR | {seconds:.1f} | | |")
    print(f"| engine, the first two candidates alone | {found['engine_seconds_two_candidates']:.1f} | | |")
    ways = (("hooks", "one forward, all candidates in its hooks"), ("forwards", f"a forward for each layer and candidate{part}"))
    for key, title in ways:
        other = found[f"{key}_seconds"]
        print(f"| {title} | {other:.1f} | {other / seconds:.1f}× | {found[f'{key}_difference_db']:.1e} |")
    note(f"sensitivity of {name}: ModelOpt")
    tokens, _ = save_tokens(checkpoint, work, samples, length)
    command = [str(modelopt), str(HERE / "modelopt_rival.py"), str(checkpoint), str(tokens), str(sequences)]
    scored = json.loads(run(command, work / "modelopt.log", {"OMP_NUM_THREADS": "2"}).output.splitlines()[-1])["seconds"]
    title = f"ModelOpt's gradient score of eight formats, {sequences} of the {samples} sequences"
    print(f"| {title} | {scored:.1f} | {scored / seconds:.1f}× | |")


def stream(work: Path, rounds: int) -> None:
    note("runs without calibration data beside a plain copy")
    print("\n### Runs without calibration data, beside a plain copy of the checkpoint")
    command = [sys.executable, str(HERE / "stream_bench.py"), "--work", str(work / "stream"), "--rounds", str(rounds)]
    print(run(command, work / "stream.log", ENVIRONMENT).output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    parser.add_argument("--rival", type=Path, help="Python of an environment that has llm-compressor already")
    parser.add_argument("--modelopt", type=Path, help="Python of an environment that has ModelOpt already")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["sample", "wide", "awq", "smoothquant", "smoothquant-gptq", "sensitivity", "depth", "stream"])
    options = parser.parse_args()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    print(f"Machine: {platform.machine()}, 2 threads, Python {platform.python_version()}, torch on the CPU.")
    if options.only not in ("sensitivity", "depth", "stream"):
        python = options.rival or rival_environment.ensure(work / "rival")
    if options.only in (None, "sample"):
        against_rival(python, SAMPLE, "the sample", work / "sample", 64, 256, options.rounds)
    methods = [method for method in USES if options.only in (None, "wide" if method == "gptq" else method)]
    if methods:
        wide = widened(work, 8)
        for method in methods:
            against_rival(python, wide, "the sample widened 4×, 8 blocks", work / "wide", 64, 512, options.rounds, method)
    if options.only in (None, "depth"):
        depth(work, (4, 8, 16), 64, 512)
    if options.only in (None, "sensitivity"):
        modelopt = options.modelopt or rival_environment.ensure(work / "modelopt", rival_environment.MODELOPT)
        sensitivity(modelopt, SAMPLE, "the sample", work, 32, 256, sequences=8)
        sensitivity(modelopt, widened(work, 8), "the sample widened 4×, 8 blocks", work, 64, 512, sequences=2, layers=2)
    if options.only in (None, "stream"):
        stream(work, options.rounds)


if __name__ == "__main__":
    main()
