import pytest
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.utils import calculate_qparams

from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import SCHEMES, WeightFormat

ROW = torch.tensor([[0.9, -0.35, 0.2, -1.4]], dtype=torch.float64)
SYMMETRIC = WeightFormat(4, group_size=None)
ASYMMETRIC = WeightFormat(4, symmetric=False, group_size=None)


def test_symmetric_worked_example():
    grid = find_grid(ROW, SYMMETRIC, torch.float64)
    scales, zeros = grid.scales, grid.zeros
    assert zeros is None
    assert scales.item() == pytest.approx(0.186667, abs=1e-6)
    codes = encode(ROW, grid)
    assert codes.tolist() == [[5, -2, 1, -8]]
    assert (codes * scales).tolist()[0] == pytest.approx([0.93333, -0.37333, 0.18667, -1.49333], abs=1e-5)


def test_asymmetric_worked_example():
    grid = find_grid(ROW, ASYMMETRIC, torch.float64)
    scales, zeros = grid.scales, grid.zeros
    assert zeros is not None
    assert scales.item() == pytest.approx(0.153333, abs=1e-6)
    assert zeros.tolist() == [[1]]
    codes = encode(ROW, grid)
    assert codes.tolist() == [[7, -1, 2, -8]]
    assert ((codes - zeros) * scales).tolist()[0] == pytest.approx([0.92, -0.30667, 0.15333, -1.38], abs=1e-5)


def test_a_clipped_range_ends_at_a_share_of_its_largest_magnitude():
    """As AWQ clips: the end that is nearer to zero stays where it is until the other one has come down to it."""
    for clip, low, high in ((0.9, -1.26, 0.9), (0.6, -0.84, 0.84)):
        grid = find_grid(ROW, ASYMMETRIC, torch.float64, clip=clip)
        assert grid.scales.item() == pytest.approx((high - low) / 15)
        expected = find_grid(ROW.clamp(low, high), ASYMMETRIC, torch.float64)
        assert torch.equal(encode(ROW, grid), encode(ROW.clamp(low, high), expected)) and torch.equal(grid.scales, expected.scales)
    assert find_grid(ROW, SYMMETRIC, torch.float64, clip=0.9).scales.item() == pytest.approx(0.9 * 1.4 / 7.5)


def test_zero_is_always_on_the_asymmetric_grid():
    weight = torch.tensor([[3.0, 4.0, 5.0, 6.0], [-3.0, -4.0, -5.0, -6.0]])
    grid = find_grid(weight, ASYMMETRIC, torch.float32)
    scales, zeros = grid.scales, grid.zeros
    assert zeros is not None
    assert zeros.tolist() == [[-8], [7]]
    assert scales.flatten().tolist() == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_codes_belong_to_the_scale_that_is_stored(dtype: torch.dtype):
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    weight_format = WeightFormat(4, group_size=16)
    grid = find_grid(weight, weight_format, dtype)
    scales = grid.scales
    assert scales.dtype == dtype and scales.shape == (32, 4)
    codes = encode(weight, grid)
    stored = scales.double().repeat_interleave(16, 1)
    nearest = (weight.double() / stored).round().clamp(-8, 7)
    # float32 and float64 may fall on different sides of a tie, and with a/7.5 a group's extremum lies on one.
    ties = ((weight.double() / stored).frac().abs() - 0.5).abs() < 1e-5
    assert bool(((codes == nearest) | ties).all())
    assert int(ties.sum()) <= scales.numel()


def test_a_group_of_zeros_keeps_a_usable_scale():
    weight = torch.zeros(2, 8, dtype=torch.bfloat16)
    for weight_format in (SYMMETRIC, ASYMMETRIC):
        grid = find_grid(weight, weight_format, torch.bfloat16)
        scales, zeros = grid.scales, grid.zeros
        assert (scales == torch.finfo(torch.bfloat16).eps).all()
        codes = encode(weight, grid)
        assert ((codes - (0 if zeros is None else zeros)) == 0).all()


def test_a_scale_that_underflows_is_replaced():
    weight = torch.full((1, 4), 6e-8, dtype=torch.float16)
    grid = find_grid(weight, WeightFormat(8, group_size=None), torch.float16)
    scales = grid.scales
    assert scales.item() > 0
    assert torch.isfinite(encode(weight, grid) * scales).all()


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("symmetric", [True, False])
def test_grids_are_compressed_tensors_own(bits: int, symmetric: bool):
    weight = torch.randn(16, 32, generator=torch.Generator().manual_seed(bits))
    grid = find_grid(weight, WeightFormat(bits, symmetric, None), torch.float32)
    scales, zeros = grid.scales, grid.zeros
    arguments = QuantizationArgs.model_validate({"num_bits": bits, "symmetric": symmetric, "strategy": "channel"})
    theirs, their_zeros = calculate_qparams(weight.amin(1, keepdim=True), weight.amax(1, keepdim=True), arguments)
    torch.testing.assert_close(scales, theirs, rtol=1e-6, atol=0)
    if zeros is not None:
        assert torch.equal(zeros, their_zeros.to(torch.int8))


def test_stored_bits_of_the_trade():
    assert SCHEMES["W4A16"].weights.bits_per_weight(4096) == 4.125
    assert SCHEMES["W4A16"].weights.with_group_size(64).bits_per_weight(4096) == 4.25
    assert SCHEMES["W4A16"].weights.with_group_size(32).bits_per_weight(4096) == 4.5
    assert SCHEMES["W4A16_ASYM"].weights.bits_per_weight(4096) == 4.15625
    assert SCHEMES["W4A16_ASYM"].weights.with_group_size(64).bits_per_weight(4096) == 4.3125
    assert SCHEMES["W4A16_ASYM"].weights.with_group_size(32).bits_per_weight(4096) == 4.625
    assert WeightFormat(8, group_size=None).bits_per_weight(1024) == 8 + 16 / 1024
