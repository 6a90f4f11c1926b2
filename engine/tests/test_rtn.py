import torch
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationScheme

from quant_engine.formats.scheme import WeightFormat
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.methods.rtn import RtnArguments, rtn


def weights(rows: int = 24, columns: int = 96, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(3)).to(dtype)


def test_the_error_is_at_most_half_a_step_inside_the_grid():
    weight = weights()
    weight_format = WeightFormat(4, group_size=32)
    quantized = rtn(weight, None, weight_format, RtnArguments())
    step = quantized.grid.scales.double().repeat_interleave(32, 1)
    error = (quantized.codes * step - weight.double()).abs()
    inside = weight.double().abs() <= 7 * step
    assert bool((error[inside] <= step[inside] * (0.5 + 1e-6)).all())
    assert int(inside.sum()) > 0.8 * inside.numel()
    # What is clipped is the extremum's half step, and the rounding of the scale to bfloat16 (2⁻⁹ of 7.5 steps).
    assert bool((error <= step * 0.55).all())


def test_weights_on_the_grid_come_back_exactly():
    codes = torch.randint(-7, 8, (8, 64), generator=torch.Generator().manual_seed(0))
    codes[:, 0] = -8
    weight = (codes * 0.125).to(torch.bfloat16)
    # s = 8·0.125/7.5: not the same grid; with 8·0.125·7.5/8 as extremum it is.
    weight[:, 0] = -0.9375
    quantized = rtn(weight, None, WeightFormat(4, group_size=None), RtnArguments())
    assert torch.equal(quantized.grid.scales, torch.full((8, 1), 0.125, dtype=torch.bfloat16))
    assert torch.equal(quantized.codes[:, 1:], codes[:, 1:].to(torch.int8))


def test_dequantize_is_what_the_library_decompresses():
    for bits, symmetric, group in [(4, True, 32), (3, True, None), (8, False, 32), (5, False, None)]:
        weight_format = WeightFormat(bits, symmetric, group)
        quantized = rtn(weights(), None, weight_format, RtnArguments())
        tensors = {key.removeprefix("x."): value for key, value in checkpoint_tensors("x", quantized).items()}
        scheme = QuantizationScheme.model_validate({"targets": ["Linear"], "weights": weight_format.arguments()})
        theirs = PackedQuantizationCompressor.decompress(tensors, scheme)["weight"]
        assert theirs.dtype == torch.bfloat16
        assert torch.equal(quantized.dequantize(), theirs)


def test_rows_are_independent():
    weight = weights()
    weight_format = WeightFormat(4, group_size=32)
    whole = rtn(weight, None, weight_format, RtnArguments()).rows(5, 9)
    alone = rtn(weight[5:9], None, weight_format, RtnArguments())
    assert torch.equal(whole.codes, alone.codes) and torch.equal(whole.grid.scales, alone.grid.scales)
