"""Worked examples of the layouts, word for word."""

from __future__ import annotations

import pytest
import torch

from quant_engine.conversion import LAYOUTS
from quant_engine.conversion.layer import Layer, LayerFormat

COLUMN = [0, 1, 7, 8, 9, 10, 14, 15]


def hexadecimal(packed: torch.Tensor) -> list[str]:
    return [f"{word & 0xFFFFFFFF:08X}" for word in packed.flatten().tolist()]


def layer(codes: torch.Tensor, bits: int, zeros: torch.Tensor | None = None, group_size: int | None = None) -> Layer:
    """`codes` unsigned (out × in), zeros unsigned (out × groups)."""
    half = 1 << (bits - 1)
    outputs, inputs = codes.shape
    found = LayerFormat("layer", outputs, inputs, bits, group_size, zeros is None)
    scales = torch.ones(outputs, found.groups, dtype=torch.float16)
    signed = None if zeros is None else (zeros - half).to(torch.int8)
    return Layer(found, (codes - half).to(torch.int8), scales, signed)


def written(layout: str, one: Layer) -> dict[str, torch.Tensor]:
    """What a layout stores; read again it is the same layer."""
    parts = LAYOUTS[layout].write(one)
    again = LAYOUTS[layout].read(one.format, parts)
    assert torch.equal(again.codes, one.codes) and torch.equal(again.scales, one.scales)
    assert (again.zeros is None and one.zeros is None) or torch.equal(again.stored_zeros(), one.stored_zeros())
    return parts


def test_compressed_tensors_rows_and_zero_points() -> None:
    zeros = torch.tensor([-8, -3, 0, 5, 7, -1, 2, 4]).reshape(8, 1) + 8
    parts = written("compressed-tensors", layer(torch.tensor([COLUMN] * 8), 4, zeros))
    assert parts["weight_packed"].shape == (8, 1) and hexadecimal(parts["weight_packed"]) == ["FEA98710"] * 8
    assert parts["weight_packed"][0].item() == -22444272
    assert parts["weight_zero_point"].shape == (1, 1) and hexadecimal(parts["weight_zero_point"]) == ["CA7FD850"]


def test_compressed_tensors_eight_bits() -> None:
    assert written("compressed-tensors", layer(torch.tensor([[129, 130]]), 8))["weight_packed"].tolist() == [[33409]]


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
def test_gptq_packs_the_same_word_along_the_inputs(version: str) -> None:
    codes = torch.tensor([COLUMN * 4] * 8)
    parts = written(version, layer(codes, 4))
    assert parts["qweight"].shape == (4, 8) and hexadecimal(parts["qweight"][0]) == ["FEA98710"] * 8


@pytest.mark.parametrize(
    ("version", "bits", "word", "number"),
    [
        ("gptq", 4, "77777777", 2004318071),
        ("gptq_v2", 4, "88888888", -2004318072),
        ("gptq", 8, "7F7F7F7F", 0x7F7F7F7F),
        ("gptq_v2", 8, "80808080", 0x80808080 - (1 << 32)),
        ("gptq", 2, "55555555", 0x55555555),
        ("gptq_v2", 2, "AAAAAAAA", 0xAAAAAAAA - (1 << 32)),
    ],
)
def test_symmetric_zero_points_of_gptq(version: str, bits: int, word: str, number: int) -> None:
    outputs = 32 // bits
    zeros = written(version, layer(torch.zeros(outputs, 32, dtype=torch.int64), bits))["qzeros"]
    assert hexadecimal(zeros) == [word] and zeros.item() == number


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_versions_of_gptq_differ_by_one_in_every_place(bits: int) -> None:
    """As a sum of whole words, where nothing wraps: 0x11111111 for 4 bits, 0x55555555 for 2, 0x01010101 for 8."""
    generator = torch.Generator().manual_seed(bits)
    zeros = torch.randint(1, 1 << bits, (32, 2), generator=generator)
    one = layer(torch.zeros(32, 64, dtype=torch.int64), bits, zeros, 32)
    first, second = (written(version, one)["qzeros"].to(torch.int64) & 0xFFFFFFFF for version in ("gptq", "gptq_v2"))
    streams = [sum(int(word) << (32 * place) for place, word in enumerate(row)) for row in torch.cat([first, second]).tolist()]
    ones = sum(1 << (bits * place) for place in range(32))
    assert [streams[2] - streams[0], streams[3] - streams[1]] == [ones, ones]


def test_awq_word() -> None:
    """Outputs 0 … 7 with the codes 0 … 7."""
    zeros = torch.arange(8).reshape(8, 1)
    parts = written("awq", layer(torch.arange(8).reshape(8, 1).expand(8, 32), 4, zeros, 32))
    assert parts["qweight"].shape == (32, 1) and hexadecimal(parts["qweight"]) == ["75316420"] * 32
    assert parts["qweight"][0].item() == 1966171168
    assert hexadecimal(parts["qzeros"]) == ["75316420"]


def test_three_bits_are_one_stream_in_both_layouts() -> None:
    expected = ["98ABC398", "C398ABC3", "ABC398AB"]
    codes = torch.tensor([[3 * k % 8 for k in range(32)]] * 32)
    assert hexadecimal(written("compressed-tensors", layer(codes, 3))["weight_packed"][0]) == expected
    words = written("gptq_v2", layer(codes, 3))["qweight"]
    assert words[:, 0].tolist() == [-1733573736, -1013404733, -1413244757]


def test_three_bits_as_gptq_says_it() -> None:
    """Values 0–9 whole in word 0, 10 split 2 + 1, 11–20 in word 1, 21 split 1 + 2, 22–31 in word 2."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randint(0, 8, (32,), generator=generator)
    words = [word & 0xFFFFFFFF for word in written("gptq", layer(values.expand(32, 32), 3))["qweight"][:, 0].tolist()]
    found = [words[0] >> (3 * k) & 7 for k in range(10)]
    found += [words[0] >> 30 | (words[1] & 1) << 2]
    found += [words[1] >> (3 * k + 1) & 7 for k in range(10)]
    found += [words[1] >> 31 | (words[2] & 3) << 1]
    found += [words[2] >> (3 * k + 2) & 7 for k in range(10)]
    assert found == values.tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shapes_of_a_layer_of_4096(layout: str) -> None:
    """Codes 8,388,608 bytes, scales 262,144, zero points 65,536, order 16,384."""
    zeros = torch.full((4096, 32), 3)
    parts = LAYOUTS[layout].write(layer(torch.zeros(4096, 4096, dtype=torch.int64), 4, zeros, 128))
    shapes = {name: tuple(tensor.shape) for name, tensor in parts.items()}
    bytes_ = {name: tensor.nbytes for name, tensor in parts.items()}
    if layout == "compressed-tensors":
        assert shapes == {"weight_packed": (4096, 512), "weight_scale": (4096, 32), "weight_shape": (2,), "weight_zero_point": (512, 32)}
        return
    rows = {"awq": (4096, 512), "gptq": (512, 4096), "gptq_v2": (512, 4096)}[layout]
    expected = {"qweight": rows, "qzeros": (32, 512), "scales": (32, 4096)} | ({"g_idx": (4096,)} if layout != "awq" else {})
    assert shapes == expected
    assert (bytes_["qweight"], bytes_["scales"], bytes_["qzeros"]) == (8_388_608, 262_144, 65_536)


def test_the_library_s_own_awq_converter_agrees() -> None:
    """compressed-tensors' reading of an AWQ layer against ours."""
    from compressed_tensors.entrypoints.convert.converters import AutoAWQConverter

    generator = torch.Generator().manual_seed(1)
    codes, zeros = (torch.randint(0, 16, size, generator=generator) for size in ((16, 64), (16, 2)))
    parts = LAYOUTS["awq"].write(layer(codes, 4, zeros, 32))
    theirs = AutoAWQConverter(group_size=32, ignore=()).process({f"layer.{name}": tensor for name, tensor in parts.items()})
    ours = LAYOUTS["compressed-tensors"].write(LAYOUTS["awq"].read(layer(codes, 4, zeros, 32).format, parts))
    assert {name.removeprefix("layer."): tensor.tolist() for name, tensor in theirs.items()} == {
        name: tensor.tolist() for name, tensor in ours.items()
    }
