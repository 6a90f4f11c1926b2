"""`npm run bench`: the engine beside llm-compressor and GPTQModel, and the sensitivity pass beside other ways; prints Markdown.

Everything that is compared is measured in this one run, one after the other, on the same checkpoint, tokens and scheme.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy

from measured_process import Measured, run
from quant_engine.checkpoint import Checkpoint
from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer
from rivals import GPTQMODEL, GPTQMODEL_BATCHES, LLM_COMPRESSOR, MODELOPT, Rival
from small_host import limited

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
"""What the engine is asked for beside each recipe of the rivals."""
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


def quantize_engine(
    checkpoint: Path, work: Path, samples: int, length: int, method: str, before: Sequence[str] = ()
) -> tuple[Measured, dict[str, float]]:
    """before: words that stand before the command."""
    output = work / "engine"
    recipe = work / "bench.quant.yaml"
    data = ROOT / "samples/calibration.jsonl"
    recipe.write_text(RECIPE.format(model=checkpoint, data=data, samples=samples, length=length, output=output, use=USES[method]))
    shutil.rmtree(output, ignore_errors=True)
    command = [*before, sys.executable, "-m", "quant_engine", "run", str(recipe), "--runs", str(work / "runs"), "--json"]
    measured = run(command, work / "engine.log", ENVIRONMENT)
    return measured, json.loads(measured.output)["seconds"]


def likelihoods(checkpoint: Path, tokens: Path, work: Path) -> list[float]:
    """The mean negative log-likelihood of each sequence; all have the same number of tokens."""
    command = [sys.executable, str(HERE / "perplexity.py"), str(checkpoint), str(tokens)]
    return json.loads(run(command, work / "perplexity.log", ENVIRONMENT).output.splitlines()[-1])


def perplexities(ours: list[float], theirs: list[float], original: list[float]) -> str:
    """A row with both perplexities, and their difference with its standard error: both saw the same sequences, so those are compared."""
    before, here, there = (math.exp(statistics.fmean(one)) for one in (original, ours, theirs))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    error = there * statistics.stdev(differences) / math.sqrt(len(differences))
    return f"| held-out perplexity by transformers (original {before:.4f}) | {here:.4f} | {there:.4f} | {here - there:+.4f} ± {error:.4f} |"


def readable(output: Path, work: Path) -> Path:
    """The same weights in the layout that transformers reads without the tool that wrote them."""
    if (output / "quantize_config.json").is_file():
        converted = work / f"{output.name}-converted"
        shutil.rmtree(converted, ignore_errors=True)
        command = [sys.executable, "-m", "quant_engine", "convert", str(output), "--to", "compressed-tensors", str(converted)]
        run(command, work / "convert.log", ENVIRONMENT)
        return converted
    return output


def against_rival(
    rival: Rival, python: Path, checkpoint: Path, name: str, work: Path, samples: int, length: int, rounds: int, method: str = "gptq"
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    calibration, held_out = save_tokens(checkpoint, work, samples, length)
    process, step, memory = [], [], []
    for index in range(rounds):
        note(f"{name}: round {index + 1} of {rounds}: engine")
        ours, phases = quantize_engine(checkpoint, work, samples, length, method)
        note(f"{name}: round {index + 1} of {rounds}: {rival.name}")
        theirs, times = rival.quantize(python, checkpoint, work, calibration, method)
        process.append((ours.seconds, theirs.seconds))
        step.append((phases["quantize"], times["quantize"]))
        memory.append((ours.peak_bytes, theirs.peak_bytes))
        note(f"  engine {ours.seconds:.1f} s {phases}, {rival.name} {theirs.seconds:.1f} s {times}")
    size = Checkpoint.open(checkpoint)
    print(f"\n### {TITLES[method]} on {name}: {size.parameters / 1e6:.1f} M parameters, {samples} × {length} tokens, {size.dtype}\n")
    print(f"| | engine | {rival.name} | ratio |\n|---|---|---|---|")
    for title, pairs, scale in (
        ("quantization step, s", step, 1.0),
        ("whole process (imports, load, quantize, write), s", process, 1.0),
        ("peak resident memory, MB", memory, 1e6),
    ):
        ours_median, theirs_median = (statistics.median(pair[side] for pair in pairs) / scale for side in (0, 1))
        ratios = [pair[1] / pair[0] for pair in pairs]
        spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if rounds > 1 else ""
        print(f"| {title} | {ours_median:.2f} | {theirs_median:.2f} | {statistics.median(ratios):.2f}×{spread} |")
    print(perplexities(*(likelihoods(path, held_out, work) for path in (work / "engine", readable(work / rival.name, work), checkpoint))))


def widened(work: Path, blocks: int, dtype: str = "bfloat16") -> Path:
    """The sample four times as wide, with another number of blocks."""
    checkpoint = work / (f"wide-{blocks}-blocks" + ("" if dtype == "bfloat16" else f"-{dtype}"))
    if not (checkpoint / "config.json").is_file():
        command = [sys.executable, str(HERE / "widen.py"), str(SAMPLE), str(checkpoint), "4", str(blocks), dtype]
        run(command, work / "widen.log", ENVIRONMENT)
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


def host(work: Path, blocks: int, limit: int) -> None:
    """A checkpoint that is larger than the memory there is."""
    note(f"host: {blocks} blocks within {limit / 1e6:.0f} MB")
    checkpoint = widened(work, blocks)
    print(f"\n### A host with less memory than the checkpoint: {TITLES['gptq']}, the sample widened 4×, {blocks} blocks, 8 × 512 tokens\n")
    print("| checkpoint, MB | memory there is, MB | most that was in use, files in the page cache included, MB | resident, MB | s |")
    print("|---|---|---|---|---|")
    with limited(limit) as (before, peak):
        measured, _ = quantize_engine(checkpoint, work, 8, 512, "gptq", before)
        used = int(peak.read_text())
    sizes = (Checkpoint.open(checkpoint).bytes, limit, used, measured.peak_bytes)
    print(f"| {' | '.join(f'{size / 1e6:.0f}' for size in sizes)} | {measured.seconds:.0f} |")


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
    finding = found["finding_seconds"]
    print("| | s | to the engine's | both with finding the weights | largest difference of SQNR, dB |\n|---|---|---|---|---|")
    print(f"| engine, from loading to the last SQNR, without finding the candidates' weights | {seconds - finding:.1f} | | | |")
    print(f"| finding them (not the others' part either) | {finding:.1f} | | | |")
    print(f"| engine, the first two candidates alone, finding included | {found['engine_seconds_two_candidates']:.1f} | | | |")
    ways = (("hooks", "one forward, all candidates in its hooks"), ("forwards", f"a forward for each layer and candidate{part}"))
    for key, title in ways:
        other = found[f"{key}_seconds"]
        ratios = f"{other / (seconds - finding):.1f}× | {(other + finding) / seconds:.1f}×"
        print(f"| {title} | {other:.1f} | {ratios} | {found[f'{key}_difference_db']:.1e} |")
    note(f"sensitivity of {name}: ModelOpt")
    tokens, _ = save_tokens(checkpoint, work, samples, length)
    done = MODELOPT.run(modelopt, checkpoint, tokens, sequences, log=work / "modelopt.log")
    scored = json.loads(done.output.splitlines()[-1])["seconds"]
    title = f"ModelOpt's gradient score of eight formats, {sequences} of the {samples} sequences"
    print(f"| {title} | {scored:.1f} | | {scored / seconds:.1f}× | |")


def stream(work: Path, rounds: int) -> None:
    note("runs without calibration data beside a plain copy")
    print("\n### Runs without calibration data, beside a plain copy of the checkpoint")
    command = [sys.executable, str(HERE / "stream_bench.py"), "--work", str(work / "stream"), "--rounds", str(rounds)]
    print(run(command, work / "stream.log", ENVIRONMENT).output)


def sections(work: Path, environments: Path, rounds: int, samples: int, dtype: str) -> dict[str, Callable[[], None]]:
    """What can be asked for alone, in the order of the whole."""
    name = "the sample widened 4×, 8 blocks"

    def wide(rival: Rival, method: str) -> None:
        python = rival.ensure(environments / rival.environment)
        against_rival(rival, python, widened(work, 8, dtype), name, work / "wide", samples, 512, rounds, method)

    def sample() -> None:
        python = LLM_COMPRESSOR.ensure(environments / LLM_COMPRESSOR.environment)
        against_rival(LLM_COMPRESSOR, python, SAMPLE, "the sample", work / "sample", 64, 256, rounds)

    def sensitivity_of(checkpoint: Path, name: str, samples: int, length: int, sequences: int, layers: int | None = None) -> None:
        python = MODELOPT.ensure(environments / MODELOPT.environment)
        sensitivity(python, checkpoint, name, work, samples, length, sequences, layers)

    return {
        "sample": sample,
        "wide": partial(wide, LLM_COMPRESSOR, "gptq"),
        **{method: partial(wide, LLM_COMPRESSOR, method) for method in ("awq", "smoothquant", "smoothquant-gptq")},
        "gptqmodel": partial(wide, GPTQMODEL, "gptq"),
        "gptqmodel-8": partial(wide, GPTQMODEL_BATCHES, "gptq"),
        "depth": partial(depth, work, (4, 8, 16), samples, 512),
        "host": partial(host, work, 96, 1_200_000_000),
        "sensitivity": lambda: sensitivity_of(SAMPLE, "the sample", 32, 256, sequences=32),
        "sensitivity-wide": lambda: sensitivity_of(widened(work, 8, dtype), name, samples, 512, sequences=2, layers=2),
        "stream": partial(stream, work, rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    parser.add_argument("--environments", type=Path, help="Where the rivals' environments are, or are made. Default: in the work folder.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=64, help="Sequences of 512 tokens for the widened sample.")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16", help="Of the widened sample's weights.")
    parser.add_argument("--only", help="Sections with commas between them; a wrong name lists them.")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    all_of_them = sections(options.work, options.environments or options.work, options.rounds, options.samples, options.dtype)
    asked = options.only.split(",") if options.only else list(all_of_them)
    if unknown := set(asked) - all_of_them.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(all_of_them)}")
    print(f"Machine: {platform.machine()}, 2 threads, Python {platform.python_version()}, torch on the CPU.")
    for name in asked:
        all_of_them[name]()


if __name__ == "__main__":
    main()
