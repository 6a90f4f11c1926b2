"""Writes `schemas/*.schema.json` from the models; the TypeScript types and the language server come from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import RootModel
from pydantic.json_schema import models_json_schema

from quant_engine.architectures.registry import family_of, supported
from quant_engine.events import AnyEvent, RunRecord
from quant_engine.formats.scheme import GROUP_SIZES, SCHEMES, Scheme
from quant_engine.methods import METHODS
from quant_engine.protocol import Protocol
from quant_engine.recipe import Recipe
from quant_engine.result import Result
from quant_engine.uses import SHORT_USES


class Events(RootModel[AnyEvent]):
    """One line of `events.jsonl`."""


MODELS: dict[str, Any] = {"recipe": Recipe, "events": Events, "result": Result, "run": RunRecord, "protocol": Protocol}


def _without_property_titles(node: Any, is_properties: bool = False) -> Any:
    """Pydantic repeats every key as a title; as type names and hover headings they are noise."""
    if isinstance(node, dict):
        return {
            key: _without_property_titles(value, key in ("properties", "$defs"))
            for key, value in node.items()
            if is_properties or key != "title" or "properties" in node
        }
    return [_without_property_titles(item) for item in node] if isinstance(node, list) else node


def recipe_facts() -> dict[str, Any]:
    """What the language server needs beyond the recipe's shape: where each architecture has its linear layers, and
    what each scheme stores."""
    architectures = {}
    for name in supported():
        family = family_of(name)
        assert family is not None
        # In a checkpoint's names; `*` in a linear layer's stands for the number of an expert.
        architectures[name] = {
            "blocks": family.blocks,
            "linears": list(family.linears),
            "head": family.on_disk(family.head, lambda spelling, head=family.head: spelling != head),
            "tied": family.tied,
            "fused": [list(members) for members in family.fused],
        }
    schemes = {name: _facts(scheme) for name, scheme in SCHEMES.items()}
    short = {name: {"method": method, "scheme": scheme} for name, (method, scheme) in SHORT_USES.items()}
    methods = {
        method.name: {
            "title": method.title,
            "needs_calibration": method.needs_calibration,
            "paper": asdict(method.paper) if method.paper else None,
        }
        for method in METHODS.values()
    }
    facts = {"x-architectures": architectures, "x-methods": methods, "x-schemes": schemes, "x-short-forms": short}
    return {**facts, "x-group-sizes": list(GROUP_SIZES)}


def _facts(scheme: Scheme) -> dict[str, Any]:
    """num_bits: stored for each weight. group_size: inputs that share a scale, null when no such groups. scale_bits: null, those of the
    model's dtype. divides: what has to divide the input width. regroupable: whether a recipe may choose the group size. block: rows and
    columns that share a scale. per_tensor: one scale for the matrix. outputs: formats of a checkpoint that can store it.
    calibrated_inputs: whether a scale of the inputs is stored."""
    weights = scheme.weights
    return {
        "num_bits": weights.stored_bits,
        "symmetric": weights.symmetric,
        "group_size": weights.group_size,
        "scale_bits": None if weights.scale == "weight" else 8,
        "outputs": list(scheme.outputs),
        "divides": weights.group_size or (scheme.inputs.group_size if scheme.inputs else None),
        "regroupable": scheme.regroupable,
        "block": list(weights.block) if weights.block else None,
        "per_tensor": weights.per_tensor,
        "inputs": scheme.inputs.num_bits if scheme.inputs else None,
        "calibrated_inputs": scheme.inputs is not None and scheme.inputs.stored_scale is not None,
    }


def schemas() -> dict[str, str]:
    """File name → text of every schema."""
    texts = {}
    for name, model in MODELS.items():
        mode = "validation" if name == "recipe" else "serialization"
        _, document = models_json_schema([(model, mode)], ref_template="#/$defs/{model}")
        root = document["$defs"].pop(model.__name__)
        ordered = {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": document["$defs"]}
        ordered = _without_property_titles(ordered)
        if name == "recipe":
            ordered |= recipe_facts()
        texts[f"{name}.schema.json"] = json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"
    return texts


def write(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in schemas().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def stale(folder: Path) -> list[str]:
    """Names of the files in `folder` that differ from what the models say."""
    return [
        name
        for name, text in schemas().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
