import pytest
import torch
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from compressed_tensors.quantization import QuantizationScheme

from quant_engine.formats.grid import Grid
from quant_engine.formats.packing import pack, unpack, words
from quant_engine.formats.scheme import SCHEMES, WeightFormat
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.methods.types import Quantized, Report


def hexadecimal(packed: torch.Tensor) -> list[str]:
    return [f"{word & 0xFFFFFFFF:08X}" for word in packed.flatten().tolist()]


def test_four_bit_worked_example():
    packed = pack(torch.tensor([[-8, -7, -1, 0, 1, 2, 6, 7]], dtype=torch.int8), 4)
    assert packed.dtype == torch.int32 and packed.tolist() == [[-22444272]]
    assert hexadecimal(packed) == ["FEA98710"]


def test_eight_bit_worked_example():
    assert pack(torch.tensor([[1, 2]], dtype=torch.int8), 8).tolist() == [[33409]]


def test_three_bit_stream_straddles_words():
    values = torch.tensor([[3 * k % 8 - 4 for k in range(32)]], dtype=torch.int8)
    assert pack(values, 3).tolist() == [[-1733573736, -1013404733, -1413244757]]


def test_zero_points_are_packed_along_the_rows():
    zeros = torch.tensor([[-8], [-3], [0], [5], [7], [-1], [2], [4]], dtype=torch.int8)
    quantized = Quantized(torch.zeros(8, 4, dtype=torch.int8), Grid(WeightFormat(4, False, 4), torch.ones(8, 1), zeros), Report())
    tensors = checkpoint_tensors("layer", quantized)
    assert hexadecimal(tensors["layer.weight_zero_point"]) == ["CA7FD850"]
    assert tensors["layer.weight_zero_point"].shape == (1, 1)


@pytest.mark.parametrize("group", [32, None])
@pytest.mark.parametrize("bits", range(2, 9))
def test_asymmetric_modules_are_stored_as_the_library_stores_them(bits: int, group: int | None):
    """Codes, scales, zero points and shape of a weight on the same grid, bit by bit; 20 outputs do not fill a word of zero points."""
    weight_format = SCHEMES[f"W{bits}A16_ASYM"].weights.with_group_size(group)
    weight = torch.randn(20, 96, generator=torch.Generator().manual_seed(bits)) + 0.5
    for search in ("minmax", "mse"):
        done = rtn(weight, None, weight_format, RtnArguments(range=search))
        ours = {name.removeprefix("layer."): tensor for name, tensor in checkpoint_tensors("layer", done).items()}
        scheme = QuantizationScheme.model_validate({"targets": ["Linear"], "weights": weight_format.arguments()})
        state = {"weight": weight, "weight_scale": done.grid.scales, "weight_zero_point": done.grid.zeros}
        theirs = PackedQuantizationCompressor.compress({name: tensor for name, tensor in state.items() if tensor is not None}, scheme)
        assert sorted(theirs) == sorted(ours) and "weight_zero_point" in ours
        assert all(torch.equal(theirs[name], ours[name]) and theirs[name].dtype == ours[name].dtype for name in ours)


def test_a_symmetric_module_stores_no_zero_point():
    quantized = Quantized(torch.zeros(8, 40, dtype=torch.int8), Grid(WeightFormat(3, group_size=8), torch.ones(8, 5)), Report())
    tensors = checkpoint_tensors("layer", quantized)
    assert sorted(tensors) == ["layer.weight_packed", "layer.weight_scale", "layer.weight_shape"]
    assert tensors["layer.weight_packed"].shape == (8, 4)
    assert tensors["layer.weight_shape"].tolist() == [8, 40] and tensors["layer.weight_shape"].dtype == torch.int64


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("columns", [1, 5, 31, 32, 33, 64, 100])
def test_round_trip_and_the_library_own_packer(bits: int, columns: int):
    generator = torch.Generator().manual_seed(bits * 1000 + columns)
    half = 1 << (bits - 1)
    codes = torch.randint(-half, half, (7, columns), generator=generator, dtype=torch.int8)
    packed = pack(codes, bits)
    assert packed.shape == (7, words(columns, bits))
    assert torch.equal(unpack(packed, bits, columns), codes)
    assert torch.equal(packed, pack_to_int32(codes, bits))
    assert torch.equal(unpack_from_int32(packed, bits, torch.Size((7, columns))), codes)
    theirs = pack_to_int32(codes, bits, packed_dim=0)
    assert torch.equal(pack(codes.t().contiguous(), bits).t(), theirs)
