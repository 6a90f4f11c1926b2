"""Quantized layers in every layout, written and read straight from the layouts' definitions: bit by bit, with Python's integers.

Shares no code with the engine, so that an error in one of them shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


@dataclass
class Truth:
    """codes (out × in) and zeros (out × groups), unsigned; scales (out × groups); order: the group of each column."""

    bits: int
    group_size: int
    codes: np.ndarray
    scales: torch.Tensor
    zeros: np.ndarray
    order: np.ndarray

    @property
    def symmetric(self) -> bool:
        return bool((self.zeros == 1 << (self.bits - 1)).all())

    def weight(self) -> torch.Tensor:
        """float32: exact, because a code difference has 9 bits and a scale at most 11 (float16) or 8 (bfloat16)."""
        difference = self.codes.astype(np.int64) - self.zeros.astype(np.int64)[:, self.order]
        return torch.from_numpy(difference).float() * self.scales.float()[:, torch.from_numpy(self.order).long()]


def make_truth(
    outputs: int, inputs: int, bits: int, group_size: int, *, symmetric: bool, dtype: torch.dtype = torch.float16, seed: int = 0,
    ordered: bool = False,
) -> Truth:  # fmt: skip
    """Random codes; group_size −1: whole rows. Asymmetric zero points take every value, 0 and the largest included."""
    rng = np.random.default_rng(seed)
    size = inputs if group_size == -1 else group_size
    groups = -(-inputs // size)
    codes = rng.integers(0, 1 << bits, (outputs, inputs))
    zeros = np.full((outputs, groups), 1 << (bits - 1)) if symmetric else rng.integers(0, 1 << bits, (outputs, groups))
    scales = (torch.from_numpy(rng.random((outputs, groups))) * 0.02 + 0.001).to(dtype)
    order = np.arange(inputs) // size
    return Truth(bits, group_size, codes, scales, zeros, rng.permutation(order) if ordered else order)


def stream(values: Sequence[int], bits: int) -> list[int]:
    """One little-endian bit stream in words of 32 bits, as signed numbers."""
    whole = sum(int(value) << (bits * place) for place, value in enumerate(values))
    words = [(whole >> (32 * word)) & 0xFFFFFFFF for word in range(-(-len(values) * bits // 32))]
    return [word - (1 << 32) if word >> 31 else word for word in words]


def unstream(words: Sequence[int], bits: int, count: int) -> list[int]:
    whole = sum((int(word) & 0xFFFFFFFF) << (32 * place) for place, word in enumerate(words))
    return [(whole >> (bits * place)) & ((1 << bits) - 1) for place in range(count)]


def _int32(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    return torch.tensor(np.array(rows), dtype=torch.int32)


def gptq(truth: Truth, version: int) -> dict[str, torch.Tensor]:
    stored = [[(zero - (version == 1)) % (1 << truth.bits) for zero in row] for row in truth.zeros.T.tolist()]
    return {
        "qweight": _int32([stream(row, truth.bits) for row in truth.codes.tolist()]).t().contiguous(),
        "qzeros": _int32([stream(row, truth.bits) for row in stored]),
        "scales": truth.scales.to(torch.float16).t().contiguous(),
        "g_idx": torch.from_numpy(truth.order).to(torch.int32),
    }


def _awq_words(rows: list[list[int]]) -> torch.Tensor:
    arranged = [[row[place - place % 8 + AWQ_ORDER[place % 8]] for place in range(len(row))] for row in rows]
    return _int32([stream(row, 4) for row in arranged])


def awq(truth: Truth) -> dict[str, torch.Tensor]:
    scales = truth.scales.to(torch.float16).t().contiguous()
    return {"qweight": _awq_words(truth.codes.T.tolist()), "qzeros": _awq_words(truth.zeros.T.tolist()), "scales": scales}


def compressed(truth: Truth) -> dict[str, torch.Tensor]:
    """Codes offset by half the range are the unsigned ones."""
    tensors = {
        "weight_packed": _int32([stream(row, truth.bits) for row in truth.codes.tolist()]),
        "weight_scale": truth.scales,
        "weight_shape": torch.tensor(truth.codes.shape, dtype=torch.int64),
    }
    if not truth.symmetric:
        tensors["weight_zero_point"] = _int32([stream(row, truth.bits) for row in truth.zeros.T.tolist()]).t().contiguous()
    return tensors


def compressed_arguments(truth: Truth) -> dict[str, Any]:
    channel = truth.group_size == -1
    return {
        "num_bits": truth.bits, "type": "int", "symmetric": truth.symmetric, "strategy": "channel" if channel else "group",
        "group_size": None if channel else truth.group_size, "dynamic": False,
    }  # fmt: skip


def section(layout: str, truth: Truth, **more: Any) -> dict[str, Any]:
    """`quantization_config` as the tools of the field write it."""
    if layout == "awq":
        return {"quant_method": "awq", "bits": 4, "group_size": truth.group_size, "zero_point": True, "version": "gemm", **more}
    if layout == "compressed-tensors":
        group = {"targets": ["Linear"], "weights": compressed_arguments(truth), "input_activations": None, "output_activations": None}
        return {
            "quant_method": layout, "format": "pack-quantized", "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {"group_0": group}, "kv_cache_scheme": None, **more,
        }  # fmt: skip
    return {
        "quant_method": "gptq", "bits": truth.bits, "group_size": truth.group_size, "sym": truth.symmetric, "desc_act": False,
        "checkpoint_format": layout, **more,
    }  # fmt: skip


def tensors(layout: str, truth: Truth) -> dict[str, torch.Tensor]:
    if layout.startswith("gptq"):
        return gptq(truth, 2 if layout == "gptq_v2" else 1)
    return awq(truth) if layout == "awq" else compressed(truth)


def save(
    folder: Path, layout: str, truths: Mapping[str, Truth], others: Mapping[str, torch.Tensor], config: dict[str, Any], **more: Any
) -> Path:
    """A checkpoint of the layers `truths` and the tensors `others`; config: config.json without its quantization."""
    folder.mkdir(parents=True)
    stored = {f"{name}.{part}": tensor for name, truth in truths.items() for part, tensor in tensors(layout, truth).items()}
    save_file({**{name: tensor.contiguous() for name, tensor in others.items()}, **stored}, folder / "model.safetensors", {"format": "pt"})
    described = section(layout, next(iter(truths.values())), **more)
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": described}))
    return folder


def load(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def read_section(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())["quantization_config"]


def read(layout: str, stored: Mapping[str, torch.Tensor], name: str, bits: int, group_size: int) -> Truth:
    """A layer of a checkpoint's tensors."""
    def part(which: str) -> torch.Tensor:
        return stored[f"{name}.{which}"]

    if layout == "compressed-tensors":
        outputs, inputs = part("weight_shape").tolist()
        codes = [unstream(row, bits, inputs) for row in part("weight_packed").tolist()]
        scales = part("weight_scale")
        packed = stored.get(f"{name}.weight_zero_point")
        middle = [[1 << (bits - 1)] * outputs] * scales.shape[1]
        zeros = middle if packed is None else [unstream(row, bits, outputs) for row in packed.t().tolist()]
    elif layout == "awq":
        outputs, inputs = part("scales").shape[1], part("qweight").shape[0]
        scales = part("scales").t()
        codes, zeros = (_awq_values(part(which), outputs) for which in ("qweight", "qzeros"))
        codes = np.array(codes).T.tolist()
    else:
        outputs, inputs = part("scales").shape[1], len(part("g_idx"))
        scales = part("scales").t()
        codes = [unstream(row, bits, inputs) for row in part("qweight").t().tolist()]
        missing = 0 if layout == "gptq_v2" else 1
        zeros = [[(zero + missing) % (1 << bits) for zero in unstream(row, bits, outputs)] for row in part("qzeros").tolist()]
    size = inputs if group_size == -1 else group_size
    order = part("g_idx").numpy() if layout.startswith("gptq") else np.arange(inputs) // size
    return Truth(bits, group_size, np.array(codes), scales, np.array(zeros).T, order)


def _awq_values(words: torch.Tensor, outputs: int) -> list[list[int]]:
    rows = []
    for row in words.tolist():
        nibbles = unstream(row, 4, outputs)
        values = [0] * outputs
        for place, nibble in enumerate(nibbles):
            values[place - place % 8 + AWQ_ORDER[place % 8]] = nibble
        rows.append(values)
    return rows
