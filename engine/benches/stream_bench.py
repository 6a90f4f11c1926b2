"""Runs without calibration data beside a plain copy of the checkpoint, taking turns; prints Markdown.

    python engine/benches/stream_bench.py [--work DIR] [--rounds N] [--blocks N]

The checkpoint has a Llama's shapes of width 2048, random bfloat16 weights and several files. The copy is the faster one of
`shutil.copyfile` and a loop over 256 kB, to the same disk, flushed; the runs are those of the command, which flushes too. Rates count the
bytes of the source.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from measured_process import run

ENGINE = Path(__file__).resolve().parents[1]
USES = {"RTN W4A16, groups of 128": "rtn-w4a16", "FP8_DYNAMIC": "fp8_dynamic"}
_WIDTH, _INNER, _HEADS, _KEYS, _VOCABULARY = 2048, 8192, 16, 8, 32000
_FILE = 256_000_000
RECIPE = """\
model: {model}
quantize: {{ default: {use} }}
output: {output}
"""


def shapes(blocks: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (_VOCABULARY, _WIDTH)}
    keys = _WIDTH * _KEYS // _HEADS
    for block in range(blocks):
        name = f"model.layers.{block}"
        for projection, rows in (("q", _WIDTH), ("k", keys), ("v", keys), ("o", _WIDTH)):
            found[f"{name}.self_attn.{projection}_proj.weight"] = (rows, _WIDTH)
        found |= {f"{name}.mlp.{part}_proj.weight": (_INNER, _WIDTH) for part in ("gate", "up")}
        found[f"{name}.mlp.down_proj.weight"] = (_WIDTH, _INNER)
        found |= {f"{name}.{norm}_layernorm.weight": (_WIDTH,) for norm in ("input", "post_attention")}
    return found | {"model.norm.weight": (_WIDTH,)}


def make_checkpoint(folder: Path, blocks: int) -> None:
    """Weights of a normal distribution, in files of about 256 MB."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    files: list[dict[str, torch.Tensor]] = [{}]
    for name, shape in shapes(blocks).items():
        if sum(tensor.nbytes for tensor in files[-1].values()) >= _FILE:
            files.append({})
        files[-1][name] = (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)
    names = [f"model-{number:05d}-of-{len(files):05d}.safetensors" for number in range(1, len(files) + 1)]
    for file, tensors in zip(names, files, strict=True):
        save_file(tensors, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, tensors in zip(names, files, strict=True) for name in tensors}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "tie_word_embeddings": True,
        "hidden_size": _WIDTH, "intermediate_size": _INNER, "num_hidden_layers": blocks, "num_attention_heads": _HEADS,
        "num_key_value_heads": _KEYS, "vocab_size": _VOCABULARY, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


def copy(checkpoint: Path, target: Path) -> float:
    """Seconds of the faster of two ways: the system's, and 256 kB at a time."""
    return min(_copied(checkpoint, target, shutil.copyfile), _copied(checkpoint, target, _copy_by_parts))


def _copied(checkpoint: Path, target: Path, copy_file: Callable[[Path, Path], object]) -> float:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    began = time.perf_counter()
    for file in sorted(checkpoint.iterdir()):
        copy_file(file, target / file.name)
        with (target / file.name).open("rb") as stream:
            os.fsync(stream.fileno())
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def _copy_by_parts(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        shutil.copyfileobj(reader, writer, 1 << 18)


def stream(checkpoint: Path, work: Path, use: str) -> tuple[float, float, int]:
    """Seconds of reading, quantizing and writing, seconds of the whole process, and its peak bytes."""
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    recipe = work / "bench.quant.yaml"
    recipe.write_text(RECIPE.format(model=checkpoint, use=use, output=output))
    command = [sys.executable, "-m", "quant_engine", "run", str(recipe), "--runs", str(work / "runs"), "--device", "cpu", "--json"]
    done = run(command, work / "engine.log", {"PYTHONPATH": str(ENGINE)})
    result = json.loads(done.output)
    shutil.rmtree(output)
    return result["seconds"]["quantize"] + result["seconds"]["write"], done.seconds, result["peak_memory_bytes"]


def measure(checkpoint: Path, work: Path, rounds: int) -> None:
    size = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    copies, runs = [], {title: [] for title in USES}
    copy(checkpoint, work / "copy")  # Everyone finds the source in memory, the first one too.
    for index in range(rounds):
        copies.append(copy(checkpoint, work / "copy"))
        for title, use in USES.items():
            runs[title].append(stream(checkpoint, work, use))
            print(f"round {index + 1}: copy {copies[-1]:.2f} s, {title} {runs[title][-1]}", file=sys.stderr, flush=True)
    rate = size / statistics.median(copies) / 1e6
    count = len(list(checkpoint.glob("*.safetensors")))
    print(f"\n{size / 1e9:.2f} GB in {count} files, {torch.get_num_threads()} threads, {rounds} rounds\n")
    print("| | MB/s | of the copy | with the start of the process, MB/s | of the copy | peak memory, MB |\n|---|---|---|---|---|---|")
    print(f"| plain copy | {rate:.0f} | | | | |")
    for title, found in runs.items():
        cells = []
        for kind in (0, 1):
            ratios = [copied / one[kind] for copied, one in zip(copies, found, strict=True)]
            spread = f"{statistics.median(ratios):.0%} ({min(ratios):.0%}–{max(ratios):.0%})"
            cells += [f"{size / statistics.median(one[kind] for one in found) / 1e6:.0f}", spread]
        print(f"| {title} | {' | '.join(cells)} | {statistics.median(one[2] for one in found) / 1e6:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".bench/stream"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=7)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / f"checkpoint-{options.blocks}"
    if not checkpoint.is_dir():
        make_checkpoint(work / "unfinished", options.blocks)
        (work / "unfinished").rename(checkpoint)
    measure(checkpoint, work, options.rounds)


if __name__ == "__main__":
    main()
