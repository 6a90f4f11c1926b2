"""What to do about each finding in a recipe, in one sentence; docs/diagnostics.md says more."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from quant_engine.nearest import nearest

ADVICE = {
    "yaml-syntax": "Indent by two spaces for each level, without tabs, and close every bracket and quote.",
    "duplicate-key": "Remove one of the two.",
    "unknown-key": "Correct the name, or indent it so that it belongs to the key that knows it.",
    "missing-key": "Add it; the comments of a recipe made by Quantize… show every key.",
    "exclusive-keys": "Keep the one that matters and remove the others.",
    "wrong-type": "Write the kind of value that is expected; numbers and true or false stand without quotes.",
    "unknown-value": "Take one of the names that exist; quant-engine methods lists methods, schemes and arguments.",
    "out-of-range": "Choose a value within the range.",
    "model-missing": "Correct the path: it counts from the recipe's folder, and nothing is downloaded.",
    "model-broken": "Download or copy the checkpoint again.",
    "model-not-safetensors": "Save it again with transformers' save_pretrained, where its origin can be trusted.",
    "model-unsupported": "Choose a checkpoint of a supported architecture.",
    "model-quantized": "Choose the original checkpoint: rounding what is rounded already adds up the errors.",
    "tokenizer": "Copy tokenizer.json and tokenizer_config.json of the original model into the checkpoint folder.",
    "data-missing": "Correct the path: it counts from the recipe's folder.",
    "data-empty": 'Give a .txt file with text, or a .jsonl file with {"text": "…"} on each line.',
    "data-broken": 'Repair that line: each one of a .jsonl file is {"text": "…"} in UTF-8.',
    "data-folder": "Name one file: its texts are read line by line, and nothing else of the folder.",
    "calibration-missing": "Add a section calibration, or choose rtn, hqq or fp8 with a scheme that finds scales of inputs at run time.",
    "sequence-too-long": "Choose a shorter sequence_length, or leave it out to take what the model can.",
    "no-layer-matches": "Correct the pattern; quant-engine inspect lists the names of all layers.",
    "rule-shadowed": "Move it above the rules that come first, make them name less, or remove it.",
    "layers-repeated": "Remove it, or make the patterns before it name less: the first one that matches a layer decides.",
    "duplicate-candidate": "Remove it: what is listed twice is measured once.",
    "nothing-to-quantize": "Write a method and scheme as the default or in a rule, or a budget, unless you only want to measure.",
    "fused-layers": "Let one rule name all of them, unless only transformers will load the checkpoint.",
    "group-size": "Choose a size that fits, a scheme with one scale for each channel, or a rule for that layer.",
    "output-format": "Write output_format: compressed-tensors, another scheme, or a rule that keeps the layers that it names.",
    "argument-format": "Write one of these as output_format, or another value here.",
    "argument-scheme": "Take one of these schemes, or another value here.",
    "experts-mixed": "Give all experts one scheme and group size, by the default or by one rule for *.experts.*.",
    "bfloat16-only": "Load the result with dtype=torch.bfloat16, take a bfloat16 checkpoint, or another scheme.",
    "output-exists": "Choose another folder, or remove that one.",
    "output-is-model": "Choose another folder for the result.",
    "output-unwritable": "Choose a folder in which you may write.",
    "budget-unreachable": "Loosen the budget, or add candidates that reach it.",
    "budget-idle": "Tighten the budget, add candidates, or leave it out and let the default decide.",
    "method-scheme": "Take another scheme of the method, or a method that has the scheme; quant-engine methods lists both.",
    "deprecated-key": "Write the key that has taken its place; this one will not be read for ever.",
    "secret": "Remove it and make it invalid: recipes are copied into run directories, and no key of a recipe needs one.",
    "memory-short": "Use fewer or shorter samples, or a machine with more memory; a GPU that is short is retried with smaller batches.",
    "scheme-device": "Choose another scheme, or another device with --device.",
    "data-short": "Give more text, or a smaller sequence_length.",
    "data-few": "Take more samples or longer ones.",
    "disk-space": "Free some space, or choose an output on another disk.",
}
_SIZED = re.compile(r"(?P<use>(?P<method>\w+)-(?P<scheme>w\d+a16(?:_asym)?))-g(?P<size>\d+)", re.IGNORECASE)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def of_short_form(written: str, names: Collection[str]) -> str:
    """About a way to quantize that is none of the `names`; "" when there is nothing to say about this one in particular."""
    sized = _SIZED.fullmatch(written)
    if sized is None or sized["use"].lower() not in names:
        return ""
    method, scheme = sized["method"].lower(), sized["scheme"].upper()
    return f"Short forms know a few group sizes only; write {{ method: {method}, scheme: {scheme}, group_size: {sized['size']} }}."


def of_missing_path(written: str, path: Path) -> str:
    """About a path where nothing is: what lies there under a similar name; "" when nothing does."""
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except (OSError, ValueError):
        return ""
    found = nearest(path.name, names)
    return f'Did you mean "{written.removesuffix(path.name)}{found}"?' if found and written.endswith(path.name) else ""


def of_missing_model(written: str, path: Path) -> str:
    """As `of_missing_path`; a path of which not even the folder above is there may be meant as a name on a hub."""
    if path.parent.is_dir() or not _HUB_NAME.fullmatch(written):
        return of_missing_path(written, path)
    return f"Nothing is downloaded here: run hf download {written} --local-dir FOLDER, and write FOLDER, seen from the recipe."
