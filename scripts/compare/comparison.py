"""The comparison itself; runs where both the engine and llm-compressor can be imported."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from compressed_tensors.quantization import preset_name_to_scheme
from compressed_tensors.quantization.lifecycle.forward import quantize as their_codes
from compressed_tensors.quantization.utils.helpers import calculate_qparams
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq.gptq_quantize import quantize_weight
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.pipelines.cache import IntermediatesCache
from transformers import AutoModelForCausalLM, AutoTokenizer

from quant_engine.calibration import statistics_of
from quant_engine.methods import METHODS
from quant_engine.methods.awq import scale_of, search_scale, weight_magnitudes
from quant_engine.methods.types import Statistics
from quant_engine.tokens import calibration_tokens, load_tokenizer
from quant_engine.uses import USE_MODELS

Ours = Callable[[torch.Tensor, Statistics], torch.Tensor]


def compare(sample: Path, text: Path, samples: int, length: int) -> None:
    batches = calibration_tokens(load_tokenizer(sample), text, samples, length, 0).batches
    model = AutoModelForCausalLM.from_pretrained(sample, dtype=torch.bfloat16).eval()
    statistics = _statistics(model, batches)
    # Weights in float32 on both sides: their division by the scale runs in the weights' dtype, too coarse in bfloat16 to say which code is
    # nearest.
    layers = {name: module.weight.detach().float() for name, module in model.named_modules() if name in statistics}
    print(f"{len(layers)} layers, {samples} × {length} tokens\n")
    print("| method and scheme | equal codes | different | scales |\n|---|---|---|---|")
    for method, scheme in (("rtn", "W4A16"), ("rtn", "W8A8"), ("fp8", "FP8_DYNAMIC"), ("gptq", "W4A16"), ("gptq", "W8A16")):
        _codes(method, scheme, layers, statistics)
    _awq(sample, batches)


def _statistics(model: torch.nn.Module, batches: list[torch.Tensor]) -> dict[str, Statistics]:
    """Of every linear layer of the blocks, from the inputs that transformers' own forward pass gives it."""
    inputs: dict[str, list[torch.Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _, given, name=name: inputs.setdefault(name, []).append(given[0].detach()))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    ]
    with torch.no_grad():
        for batch in batches:
            model(batch)
    for hook in hooks:
        hook.remove()
    return {name: statistics_of(tensors) for name, tensors in inputs.items()}


def _codes(method: str, scheme: str, layers: dict[str, torch.Tensor], statistics: dict[str, Statistics]) -> None:
    arguments = preset_name_to_scheme(scheme, ["Linear"]).weights
    use = USE_MODELS[method](method=method, scheme=scheme)
    equal = total = scales = 0
    for name, weight in layers.items():
        ours = METHODS[method].quantize(weight, statistics[name], use.weight_format, use.arguments)
        scale, zero = _qparams(weight, arguments)
        theirs = _gptq(weight, statistics[name], scale, zero, arguments) if method == "gptq" else weight
        expected = their_codes(theirs, scale, zero, arguments, dtype=torch.float32)
        equal += int((ours.codes.float() == expected).sum())
        total += weight.numel()
        scales += int((ours.grid.scales.float().reshape(-1) == scale.float().reshape(-1)).all())
    different = f"{total - equal:,} of {total:,}"
    print(f"| {method} {scheme} | {equal / total:.4%} | {different} | equal in {scales} of {len(layers)} layers |", flush=True)


def _qparams(weight: torch.Tensor, arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Scales (out × groups) as the observer of llm-compressor makes them: from each group's smallest and largest weight."""
    size = getattr(arguments, "group_size", None) or weight.shape[1]
    groups = weight.reshape(weight.shape[0], -1, size)
    return calculate_qparams(groups.amin(-1), groups.amax(-1), arguments)


def _gptq(weight: torch.Tensor, statistics: Statistics, scale: torch.Tensor, zero: torch.Tensor, arguments: object) -> torch.Tensor:
    """llm-compressor's own loop, static act-order, on the same Gram matrix."""
    hessian = (2 / statistics.tokens * statistics.gram).float()
    ordered = arguments.model_copy(update={"actorder": "weight"})  # type: ignore[attr-defined]
    done, _, fallback = quantize_weight(weight[None].clone(), hessian[None].clone(), scale[None], zero[None], None, ordered)
    assert not bool(fallback.any())
    return done[0]


def _awq(sample: Path, batches: list[torch.Tensor]) -> None:
    """Their scales are what the columns of a reading layer were multiplied by; in float32, so that nothing is lost by rounding."""
    if not torch.cuda.is_available():  # pinning memory for a GPU fails without one
        IntermediatesCache._pin_intermediate = classmethod(lambda cls, intermediate: None)
    model = AutoModelForCausalLM.from_pretrained(sample, dtype=torch.float32).eval()
    statistics = _statistics(model, batches)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tokens = torch.cat(batches)
    data = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": torch.ones_like(tokens).tolist()})
    recipe = [AWQModifier(duo_scaling=True, n_grid=20), QuantizationModifier(targets="Linear", scheme="W4A16", ignore=["lm_head"])]
    oneshot(model=model, tokenizer=AutoTokenizer.from_pretrained(sample), dataset=data, recipe=recipe,
            max_seq_length=tokens.shape[1], num_calibration_samples=len(tokens))  # fmt: skip
    after = dict(model.named_parameters())
    print("\n| scale | their exponent | ours by the Gram matrix | largest relative difference at theirs |\n|---|---|---|---|")
    for block in range(model.config.num_hidden_layers):
        prefix = f"model.layers.{block}."
        for source, readers in (
            ("input_layernorm", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
            ("post_attention_layernorm", ["mlp.gate_proj", "mlp.up_proj"]),
            ("mlp.up_proj", ["mlp.down_proj"]),
        ):
            reader = f"{prefix}{readers[0]}.weight"
            theirs = (after[reader].detach() / before[reader]).median(0).values
            weight = torch.cat([before[f"{prefix}{reader}.weight"] for reader in readers])
            _compare_scale(f"{prefix}{source}", theirs, weight, statistics[prefix + readers[0]])


def _compare_scale(name: str, theirs: torch.Tensor, weight: torch.Tensor, statistics: Statistics) -> None:
    weight_format = USE_MODELS["awq"](method="awq", scheme="W4A16").weight_format
    statistics.fold = lambda scale: scale
    _, chosen = search_scale(weight, statistics, weight_format, 20, True)
    inputs = (statistics.magnitudes / statistics.tokens).float()
    magnitudes = weight_magnitudes(weight, weight_format)
    # Their grid of 20: no scale at all, then 0, 1/18, 2/18 … 1; the paper's and the engine's: 0, 1/20, 2/20 … 19/20.
    every = [(_apart(scale_of(inputs, magnitudes, step / 18), theirs), f"{step / 18:.3f}") for step in range(19)]
    difference, exponent = min([*every, (_apart(torch.ones_like(theirs), theirs), "none")])
    print(f"| {name} | {exponent} | {chosen:.2f} | {difference:.1e} |", flush=True)


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours / theirs - 1).abs().max())
