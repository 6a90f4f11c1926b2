"""GPTQ's `dynamic`: regular expressions for layers that differ from the rest of the config.

Readers (GPTQModel, vLLM) go through the rules in order and match each at the beginning of a layer's name. `-:` means that the layer is
not quantized, `+:` or nothing before the expression that the entries replace the config's; the first match decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.header import broken

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint

_FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Layers that vLLM makes one of; it then asks for the rule under that one's name alone."""


def overrides(source: Checkpoint, name: str) -> Mapping[str, Any]:
    """What `dynamic` changes for a layer; empty without a matching rule. Raises QuantError(code="model-broken")."""
    dynamic = source.quantization_section.get("dynamic")
    for pattern, entries in dynamic.items() if isinstance(dynamic, dict) else ():
        try:
            matches = re.match(re.sub(r"^[-+]:", "", pattern), name)
        except re.error as error:
            raise broken(source.path, f'`dynamic` of its quantization has "{pattern}", which is no regular expression ({error})') from error
        if matches and pattern.startswith("-:"):
            raise broken(source.path, f'`dynamic` of its quantization leaves {name} out ("{pattern}"), and it has a qweight')
        if matches:
            return entries if isinstance(entries, dict) else {}
    return {}


def rules(changes: Mapping[str, Mapping[str, Any]], kept: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rules that give each layer of `changes` its entries and leave `kept` out; one for each distinct set of entries."""
    found: dict[str, dict[str, Any]] = {}
    kept = list(kept)
    if kept:
        found[f"-:{_pattern(kept)}"] = {}
    groups: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for name, entries in changes.items():
        groups.setdefault(tuple(entries.items()), []).append(name)
    return found | {f"+:{_pattern(names)}": dict(entries) for entries, names in groups.items()}


def _pattern(names: list[str]) -> str:
    known = set(names)
    fused = [
        f"{parent}.{whole}"
        for parent in dict.fromkeys(name.rpartition(".")[0] for name in names)
        for whole, parts in _FUSED.items()
        if all(f"{parent}.{part}" in known for part in parts)
    ]
    return f"(?:{'|'.join(re.escape(name) for name in [*names, *fused])})$"
