"""Float formats, their scales and their stored tensors against worked examples and against compressed-tensors itself."""

from __future__ import annotations

import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationScheme, preset_name_to_scheme
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams, compute_dynamic_scales_and_zp, generate_gparam
from torch import Tensor

from quant_engine.formats.grid import decode, encode, find_grid
from quant_engine.formats.inputs import InputQuantizer, calibrated_scale
from quant_engine.formats.numbers import round_, round_e2m1
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.formats.stored import checkpoint_tensors, decompressed, formats_of
from quant_engine.methods import METHODS
from quant_engine.methods.types import Quantized, Report

FLOATS = ["FP8", "FP8_DYNAMIC", "FP8_BLOCK", "NVFP4A16", "MXFP4A16", "NVFP4", "MXFP4"]
E4M3 = WeightFormat(8, type="float", group_size=None, layout="float-quantized")


def random(rows: int, columns: int, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.exp(torch.randn(rows, 1, generator=generator))
    return (torch.randn(rows, columns, generator=generator) * spread).to(dtype)


def test_e4m3_worked_examples():
    values = torch.tensor([0.1, 0.3, 17, 19, 240, 447, 500, -3.3, 2**-9, 2**-10, 1.5 * 2**-10, 108])
    rounded = [0.1015625, 0.3125, 16, 20, 240, 448, 448, -3.25, 2**-9, 0, 2**-9, 112]
    assert round_(values.clone(), E4M3).tolist() == rounded


def test_e2m1_rounds_ties_to_the_even_mantissa():
    values = torch.tensor([0.25, 0.26, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 5.01, 9, -0.75, -2.5, -7])
    assert round_e2m1(values).tolist() == [0, 0.5, 1, 1, 2, 2, 4, 4, 6, 6, -1, -2, -6]


def test_a_block_of_four_as_in_the_literature():
    weight = torch.tensor([[0.02, -0.5, 1.75, -0.003]])
    grid = find_grid(weight, E4M3, torch.float32)
    assert grid.scales.item() == 0.00390625
    codes = encode(weight, grid)
    assert codes.float().tolist() == [[5, -128, 448, -0.75]]
    assert decode(codes, grid).tolist()[0] == pytest.approx([0.01953125, -0.5, 1.75, -0.0029296875], abs=1e-9)


def test_a_block_at_the_edge_is_as_large_as_the_matrix_allows():
    weight = random(200, 300, torch.float32)
    grid = find_grid(weight, SCHEMES["FP8_BLOCK"].weights, torch.float32)
    assert grid.scales.shape == (2, 3)
    assert grid.scales[1, 2].item() == pytest.approx(float(weight[128:, 256:].abs().max()) / 448)
    error = (decode(encode(weight, grid), grid) - weight).abs() / weight.abs().clamp(min=1e-2)
    assert float(error.max()) < 2**-3


def scheme_of(name: str) -> QuantizationScheme:
    return preset_name_to_scheme(name, ["Linear"])


@pytest.mark.parametrize("name", [*FLOATS, "W8A8", "W4A8"])
@pytest.mark.parametrize("seed", [0, 1])
def test_stored_tensors_and_dequantized_weights_are_the_library_own(name: str, seed: int):
    """compressed-tensors quantizes the same weight on our scales, stores it, and reads what we store."""
    weight = random(256, 384, seed=seed)
    kind = SCHEMES[name].weights
    grid = find_grid(weight, kind, weight.dtype)
    quantized = Quantized(encode(weight, grid), grid, Report())
    ours = {key.removeprefix("x."): value for key, value in checkpoint_tensors("x", quantized).items()}
    assert torch.equal(decompressed(ours, kind), quantized.dequantize())
    scheme = scheme_of(name)
    compressor = BaseCompressor.get_value_from_registry(kind.layout)
    # In bfloat16 the library's own quotient falls on the other side of many ties.
    scales = (grid.scales.reshape(1) if kind.per_tensor else grid.scales).float()
    state: dict[str, Tensor | None] = {"weight": weight.float(), "weight_scale": scales, "weight_global_scale": grid.factor}
    theirs = compressor.compress({key: value for key, value in state.items() if value is not None}, scheme)
    assert sorted(theirs) == sorted(ours)
    read = compressor.decompress(dict(ours), scheme)["weight"]
    assert read is not None and torch.equal(read, quantized.dequantize())
    # Compared as values: E2M1 has a negative zero, which we do not write.
    again = compressor.decompress(theirs, scheme)["weight"]
    assert again is not None
    assert float((again.to(weight.dtype) == quantized.dequantize()).double().mean()) > 0.9999


@pytest.mark.parametrize("name", [*FLOATS, "W8A8", "W4A8", "W3A16"])
def test_scales_are_the_library_own(name: str):
    weight = random(256, 384, torch.float32)
    arguments = scheme_of(name).weights
    assert arguments is not None
    kind = SCHEMES[name].weights
    grid = find_grid(weight, kind, torch.float32)
    if kind.block:
        blocks = weight.reshape(2, 128, 3, 128).transpose(1, 2).flatten(2)
        low, high = blocks.amin(-1), blocks.amax(-1)
    else:
        groups = weight.reshape(1, 1, -1) if kind.per_tensor else weight.reshape(256, kind.groups(384), -1)
        low, high = groups.amin(-1), groups.amax(-1)
    factor = None if grid.factor is None else generate_gparam(weight.min(), weight.max())
    if factor is not None and grid.factor is not None:
        torch.testing.assert_close(grid.factor, factor, rtol=1e-6, atol=0)
    theirs, _ = calculate_qparams(low, high, arguments, factor)
    same = torch.isclose(grid.scales, theirs.reshape(grid.scales.shape).float(), rtol=1e-6, atol=0)
    assert float(same.double().mean()) > 0.999


@pytest.mark.parametrize("name", ["W8A8", "FP8_DYNAMIC", "FP8_BLOCK", "FP8", "NVFP4", "MXFP4"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_inputs_are_rounded_exactly_as_the_library_rounds_them(name: str, dtype: torch.dtype):
    X = random(64, 256, torch.float32).reshape(4, 16, 256).to(dtype)
    X[0, 0] = 0
    X[0, 1, :64] *= 1e-6  # scales below what E4M3 and float16 have
    X[0, 2] *= 100
    X[1] = torch.exp2(torch.linspace(-20, -10, 256)) * torch.linspace(0.7, 1.6, 16).unsqueeze(1)  # float16's smallest numbers among them
    inputs, arguments = SCHEMES[name].inputs, scheme_of(name).input_activations
    assert inputs is not None and arguments is not None
    factor = None
    if inputs.scale == "float8":
        # From other inputs, as calibration's are: the largest here is cut off.
        largest = X.double().abs().max() / 3
        factor = generate_gparam(-largest.float(), largest.float())
        scale, zero = compute_dynamic_scales_and_zp(X, arguments, torch.nn.Linear(1, 1), factor)
        quantizer = InputQuantizer(inputs, calibrated_scale(largest, inputs, dtype))
        assert quantizer.scale is not None and quantizer.scale.dtype == torch.float32 and torch.equal(quantizer.scale, factor)
    elif inputs.dynamic:
        scale, zero = compute_dynamic_scales_and_zp(X, arguments, torch.nn.Linear(1, 1))
        quantizer = InputQuantizer(inputs)
    else:
        scale, zero = (X.abs().max() / 448).reshape(1), None
        quantizer = InputQuantizer(inputs, scale)
    theirs = fake_quantize(X, scale, zero, arguments, factor)  # pyright: ignore[reportArgumentType]
    assert quantizer(X).dtype == dtype and torch.equal(quantizer(X), theirs)
    assert not torch.equal(theirs, X)


@pytest.mark.parametrize("name", [*FLOATS, "W8A8", "W4A8", "W5A16", "W4A16_ASYM"])
def test_arguments_are_understood_by_the_library_and_by_ourselves(name: str):
    scheme = SCHEMES[name]
    inputs = scheme.inputs.arguments() if scheme.inputs else None
    group = {"targets": ["Linear"], "weights": scheme.weights.arguments(), "input_activations": inputs, "format": scheme.weights.layout}
    theirs, preset = QuantizationScheme.model_validate(group), scheme_of(name)
    for ours, expected in ((theirs.weights, preset.weights), (theirs.input_activations, preset.input_activations)):
        assert (ours is None) == (expected is None)
        if ours is not None and expected is not None:
            keys = {"num_bits", "type", "symmetric", "strategy", "group_size", "block_structure", "dynamic", "scale_dtype"}
            assert {key: getattr(ours, key) for key in keys} == {key: getattr(expected, key) for key in keys}
    assert formats_of({"config_groups": {"group_0": group}}, "any") == (scheme.weights, scheme.inputs)


def test_every_method_stores_every_scheme_it_names():
    """Codes stay on the grid: what is stored and read again is what the method computed."""
    from quant_engine.calibration import statistics_of

    weight, X = random(128, 128), random(512, 128, seed=3)
    for method in METHODS.values():
        for name in method.schemes:
            kind = SCHEMES[name].weights
            done = method.quantize(weight, statistics_of([X]), kind, method.arguments())
            parts = {key.removeprefix("x."): value for key, value in checkpoint_tensors("x", done).items()}
            assert torch.equal(decompressed(parts, kind), done.dequantize()), (method.name, name)
            assert done.dequantize().shape == weight.shape and bool(torch.isfinite(done.dequantize()).all())
