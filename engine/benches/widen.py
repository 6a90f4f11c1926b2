"""Make a larger checkpoint out of the bundled sample, so that speed is measured at a size where the arithmetic dominates.

Every hidden channel is repeated `factor` times, and so are the attention heads and the MLP's channels; weights that sum
over repeated inputs are divided accordingly. RMSNorm's mean square and the logits are unchanged, so the perplexity stays
near that of the trained sample: a little noise breaks the symmetry between the copies, and with it the Gram matrices
have full rank, as those of real models have.

With `blocks` the model gets another depth: a block that stands there n times adds 1/n each time to the residual stream, so that the
perplexity stays near here too.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NOISE = 0.02


def widen(weight: torch.Tensor, name: str, factor: int, generator: torch.Generator) -> torch.Tensor:
    """One tensor of the wide model; `weight` in float32."""
    if weight.ndim == 1:
        return weight.repeat(factor)
    vocabulary = "embed_tokens" in name or "lm_head" in name
    wide = weight.repeat(1 if vocabulary else factor, factor)
    if "embed_tokens" not in name:
        wide = wide / factor
        wide = wide + NOISE * wide.std() * torch.randn(wide.shape, generator=generator)
    return wide


def deepen(tensors: dict[str, torch.Tensor], before: int, blocks: int) -> dict[str, torch.Tensor]:
    """A model of `before` blocks with `blocks` of them, in order, the same number of times each as far as that goes."""
    sources = [index * before // blocks for index in range(blocks)]
    times = Counter(sources)
    found = {name: tensor for name, tensor in tensors.items() if not _block(name)}
    for index, source in enumerate(sources):
        for name, tensor in tensors.items():
            if _block(name) == str(source):
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                found[name.replace(f"layers.{source}.", f"layers.{index}.")] = tensor / times[source] if adds else tensor
    return found


def _block(name: str) -> str | None:
    match = re.search(r"layers\.(\d+)\.", name)
    return match and match[1]


def main(source: Path, target: Path, factor: int, blocks: int | None = None, dtype: str = "bfloat16") -> None:
    config = json.loads((source / "config.json").read_text())
    shutil.copytree(source, target, dirs_exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(source / "model.safetensors")
    if blocks is not None:
        tensors = deepen(tensors, config["num_hidden_layers"], blocks)
        config["num_hidden_layers"] = blocks
    kept: torch.dtype = getattr(torch, dtype)
    wide = {name: widen(tensor.float(), name, factor, generator).to(kept).contiguous() for name, tensor in tensors.items()}
    save_file(wide, target / "model.safetensors", metadata={"format": "pt"})
    for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"):
        config[key] *= factor
    config["dtype"] = dtype
    config.pop("torch_dtype", None)
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5]), *sys.argv[5:])
