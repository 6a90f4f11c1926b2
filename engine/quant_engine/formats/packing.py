"""compressed-tensors' `pack-quantized` layout: a little-endian bit stream of offset codes in int32 words.

Element e of b bits occupies bits e·b … e·b+b−1 of its row's stream, stored as u = code + 2^(b−1); for b = 3, 5, 6, 7
elements straddle words, so that 32 elements fill exactly b words (libraries before late 2025 padded each word instead;
the two are incompatible).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from quant_engine import compiled
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def words(elements: int, bits: int) -> int:
    """int32 words that hold `elements` codes of `bits` bits."""
    return -(-elements * bits // 32)


def pack(codes: Tensor, bits: int) -> Tensor:
    """codes (rows × n, int8, signed) → (rows × ceil(n·bits/32), int32), packed along the columns. bits: 1 … 8."""
    if (found := compiled.packed(codes, bits)) is not None:
        return found
    if 8 % bits == 0:
        return _pack_bytes(codes, bits)
    rows, count = codes.shape
    unsigned = torch.zeros(rows, -(-count // 32) * 32, dtype=torch.int64, device=codes.device)
    unsigned[:, :count] = codes
    unsigned[:, :count] += 1 << (bits - 1)
    # 32 elements fill `bits` words exactly: the same 32 shifts for every such run.
    runs = unsigned.reshape(rows, -1, 32)
    packed = torch.zeros(rows, runs.shape[1], bits + 1, dtype=torch.int64, device=codes.device)
    for element in range(32):
        word, shift = divmod(element * bits, 32)
        shifted = runs[:, :, element] << shift
        packed[:, :, word] |= shifted & 0xFFFFFFFF
        packed[:, :, word + 1] |= shifted >> 32
    return _to_int32(packed[:, :, :bits]).reshape(rows, -1)[:, : words(count, bits)].contiguous()


_WIDE = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}


def _pack_bytes(codes: Tensor, bits: int) -> Tensor:
    """`pack` where elements do not straddle bytes (1, 2, 4, 8 bits): the first element of a byte in its lowest bits."""
    rows, count = codes.shape
    per_byte, filled = 8 // bits, words(count, bits) * (32 // bits)
    unsigned = (codes + (1 << (bits - 1))).view(torch.uint8)  # wraps at 8 bits to what it should be
    if filled != count:
        unsigned = torch.nn.functional.pad(unsigned, (0, filled - count))
    # Flat, because a matrix of one row or column may have strides that views refuse.
    unsigned = unsigned.reshape(-1)
    if sys.byteorder == "big":
        unsigned = unsigned.reshape(-1, per_byte).flip(-1).reshape(-1)
    # The elements of a byte side by side as one number: shifted together, they meet in its lowest byte.
    wide = unsigned.view(getattr(torch, _WIDE[per_byte]))
    stream = wide
    for element in range(1, per_byte):
        stream = stream | (wide >> (element * (8 - bits)))
    stream = stream.to(torch.uint8)
    if sys.byteorder == "big":
        stream = stream.view(-1, 4).flip(-1).reshape(-1)
    return stream.view(torch.int32).reshape(rows, -1)


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The inverse of `pack`: (rows × words, int32) → codes (rows × count, int8)."""
    if 8 % bits == 0:
        return _unpack_bytes(packed, bits, count)
    rows = packed.shape[0]
    runs = -(-count // 32)
    unsigned = torch.zeros(rows, runs * bits, dtype=torch.int64, device=packed.device)
    unsigned[:, : packed.shape[1]] = packed.to(torch.int64) & 0xFFFFFFFF
    stream = torch.nn.functional.pad(unsigned.reshape(rows, runs, bits), (0, 1))
    codes = torch.empty(rows, runs, 32, dtype=torch.int8, device=packed.device)
    for element in range(32):
        word, shift = divmod(element * bits, 32)
        pair = stream[:, :, word] | stream[:, :, word + 1] << 32
        codes[:, :, element] = ((pair >> shift) & ((1 << bits) - 1)) - (1 << (bits - 1))
    return codes.reshape(rows, -1)[:, :count]


def _unpack_bytes(packed: Tensor, bits: int, count: int) -> Tensor:
    """The inverse of `_pack_bytes`."""
    rows = packed.shape[0]
    stream = packed.contiguous().view(torch.uint8)
    if sys.byteorder == "big":
        stream = stream.view(rows, -1, 4).flip(-1).reshape(rows, -1)
    per_byte, half = 8 // bits, 1 << (bits - 1)
    codes = torch.empty(rows, stream.shape[1], per_byte, dtype=torch.int8, device=packed.device)
    for element in range(per_byte):
        # In uint8 the difference wraps, and its bits are the signed code's.
        codes[:, :, element] = (((stream >> (element * bits)) & ((1 << bits) - 1)) - half).view(torch.int8)
    return codes.reshape(rows, -1)[:, :count]


def _to_int32(unsigned: Tensor) -> Tensor:
    """Words 0 … 2³²−1 in int64 as int32 with the same bits."""
    return torch.where(unsigned >= 1 << 31, unsigned - (1 << 32), unsigned).to(torch.int32)
