"""What a person should know of a run that goes on all the same; each becomes one of its problems (docs/diagnostics.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from quant_engine import events
from quant_engine.check_dtypes import loads_as_bfloat16
from quant_engine.checkpoint.linears import EXPERT
from quant_engine.formats.scheme import COMPRESSED
from quant_engine.methods import METHODS
from quant_engine.methods.rounding import NOT_SCALED
from quant_engine.unscaled import is_unscaled

if TYPE_CHECKING:
    from quant_engine.assignment.units import Unit
    from quant_engine.tokens import TokenData
    from quant_engine.walk import QuantizedLayer
    from quant_engine.work import Work
    from quant_engine.yaml_source import Key


def note_short(work: Work, data: TokenData, key: Key) -> None:
    if data.short:
        message = f"the text gives only {data.sequences} of {data.wanted} sequences of {data.length} tokens"
        work.problem("warning", "data-short", message, key)


def note_few(work: Work) -> None:
    """With fewer tokens than a layer has inputs its Gram matrix is singular, whatever the text."""
    if work.is_streamed:
        return
    quantize = work.recipe.quantize
    uses = [*work.candidates, quantize.default_use, *quantize.rule_uses]
    if not any(use is not None and METHODS[use.method].needs_calibration for use in uses):
        return
    widest = max(work.linears, key=lambda linear: linear.inputs)
    if work.tokens.tokens < widest.inputs:
        message = (
            f"{work.tokens.tokens} calibration tokens are fewer than the {widest.inputs} inputs of {widest.name}: its statistics are "
            "singular, and only damping makes second-order methods possible; take more samples"
        )
        work.problem("warning", "data-few", message, ("calibration",))


def note_torn(work: Work, fused: Sequence[Unit]) -> None:
    """Layers that serving engines fuse and that rules keep from having one scheme."""
    from quant_engine.assignment.units import torn, torn_messages

    rules = {name: assigned.rule for name, assigned in work.assignment.items()}
    found = [
        (min(rule for member in members if isinstance(rule := rules[member.name], int)), members)
        for members in torn(fused, {name: assigned.use for name, assigned in work.assignment.items()})
    ]
    for rule, members, message in torn_messages(found):
        work.problem("warning", "fused-layers", message, ("quantize", "rules", rule, "use"), members[0].name)


def note_zero_points(work: Work) -> None:
    """Which releases load what is about to be written, where not all do (docs/decisions/0004-zero-points.md)."""
    from quant_engine.conversion.compressed import readers_of_zero_points

    uses = {assigned.use.weight_format: assigned for assigned in work.assignment.values() if assigned.use is not None}
    found = next((assigned for kind, assigned in uses.items() if not kind.symmetric), None)
    if found is None or found.use is None or found.use.output_format != COMPRESSED:
        return
    message = f"{found.use.scheme} has zero points: {readers_of_zero_points(one_kind=len(uses) == 1)}"
    work.problem("information", "zero-points", message, rule_key(found.rule))


def note_flattened(work: Work) -> None:
    """Layers whose inputs transformers would round otherwise than the scheme says (docs/decisions/0009-number-formats.md)."""
    from quant_engine.architectures.registry import family_for

    flattened = family_for(work.checkpoint).flattened
    for name, assigned in work.assignment.items():
        kind = assigned.use.input_format if assigned.use is not None and name.endswith(flattened or ("\0",)) else None
        if assigned.use is not None and kind is not None and kind.dynamic and kind.group_size is None:
            message = (
                f"transformers gives {name} and its like the tokens of a batch in one dimension, and compressed-tensors then takes one "
                f"scale for all of them, where {assigned.use.scheme} has one for each token: there the checkpoint gives other logits than "
                "were evaluated here"
            )
            work.problem("warning", "tokens-flattened", message, rule_key(assigned.rule), name)
            return


def note_bfloat16_only(work: Work) -> None:
    """Schemes that need another dtype at loading than the checkpoint has (docs/decisions/0009-number-formats.md)."""
    dtype = work.checkpoint.dtype
    for name, assigned in work.assignment.items():
        message = assigned.use and loads_as_bfloat16(assigned.use, dtype)
        if message:
            work.problem("warning", "bfloat16-only", message, rule_key(assigned.rule), name)
            return


def note_not_scaled(work: Work) -> None:
    """Ways to quantize whose scale some layers could not have: of AWQ clipping is left, of SmoothQuant nothing.

    Where some were scaled, as the method's definition has it, one problem tells of the others. Where none was, another method than the
    one asked for was applied: each layer is a fallback. So are experts' layers behind a norm, which the definition scales.
    """
    asked: dict[tuple[Key, str], list[QuantizedLayer]] = {}
    for name, layer in work.quantized.items():
        asked.setdefault((rule_key(work.assignment[name].rule), layer.asked), []).append(layer)
    for (key, label), layers in asked.items():
        unscaled = [layer for layer in layers if is_unscaled(layer)]
        replaced = [layer for layer in unscaled if len(unscaled) == len(layers) or EXPERT.search(layer.name)]
        for layer in replaced:
            _fall_back(work, layer)
        plain = [layer.name for layer in unscaled if layer not in replaced]
        if plain:
            first, more = plain[0], f" and {len(plain) - 1} more" if len(plain) > 1 else ""
            message = f"{len(plain)} of the {len(layers)} layers of {label} were {NOT_SCALED}: {first}{more}"
            work.problem("warning", "not-scaled", message, key, first)


def _fall_back(work: Work, layer: QuantizedLayer) -> None:
    if layer.fallback is None:
        work.quantized[layer.name] = replace(layer, fallback=NOT_SCALED)
        said = {"layer": layer.name, "asked": layer.asked, "applied": layer.applied}
        work.directory.event(events.Fallback, **said, reason=NOT_SCALED)


def note_fallbacks(work: Work) -> None:
    """One problem for each layer that got something other than what was asked, at the key that asked for it."""
    for name, layer in work.quantized.items():
        if layer.fallback:
            message = f"{name}: {layer.applied or 'none'} was applied instead of {layer.asked}: {layer.fallback}"
            work.problem("warning", "fallback", message, rule_key(work.assignment[name].rule), name)


def rule_key(rule: int | str | None) -> Key:
    if isinstance(rule, int):
        return ("quantize", "rules", rule, "use")
    return ("quantize", "budget") if rule == "budget" else ("quantize", "default")
