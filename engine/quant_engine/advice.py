"""What to do about each finding in a recipe, in one sentence; docs/diagnostics.md says more."""

from __future__ import annotations

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
    "data-missing": "Correct the path: it counts from the recipe's folder.",
    "data-empty": 'Give a .txt file with text, or a .jsonl file with {"text": "…"} on each line.',
    "data-broken": 'Repair that line: each one of a .jsonl file is {"text": "…"} in UTF-8.',
    "sequence-too-long": "Choose a shorter sequence_length, or leave it out to take what the model can.",
    "no-layer-matches": "Correct the pattern; quant-engine inspect lists the names of all layers.",
    "rule-shadowed": "Move it above the rules that come first, make them name less, or remove it.",
    "fused-layers": "Let one rule name all of them, unless only transformers will load the checkpoint.",
    "group-size": "Choose a size that fits, a scheme with one scale for each channel, or a rule for that layer.",
    "experts-mixed": "Give all experts one scheme and group size, by the default or by one rule for *.experts.*.",
    "bfloat16-only": "Load the result with dtype=torch.bfloat16, take a bfloat16 checkpoint, or another scheme.",
    "output-exists": "Choose another folder, or remove that one.",
    "output-is-model": "Choose another folder for the result.",
    "output-unwritable": "Choose a folder in which you may write.",
    "budget-unreachable": "Loosen the budget, or add candidates that reach it.",
    "disk-space": "Free some space, or choose an output on another disk.",
}
