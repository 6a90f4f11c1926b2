"""The loops themselves. bfloat16 numbers are uint16 here: the upper halves of float32 numbers.

What torch rounds to bfloat16 between two operations is rounded here too. Sums may be added up in any order (`reassoc`), which lets the
processor take many terms at once; nothing else may be rearranged.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "nsz"}}
_ONE, _SIXTEEN, _TWENTY = numpy.uint32(1), numpy.uint32(16), numpy.uint32(20)
_E4M3_SMALLEST = numpy.float32(2.0**-6)
"""The smallest normal number of E4M3; below it are the multiples of 2⁻⁹."""
_E4M3_LARGEST = numpy.float32(448)
_BFLOAT16_EPS = numpy.float32(2.0**-7)


def _cast(source, target, width):
    """The intrinsic that reads a number's bits as another type's."""

    def typed(context, number):  # noqa: ARG001
        return target(source), lambda _, builder, signature, arguments: builder.bitcast(arguments[0], width)

    return intrinsic(typed)


_bits: Any = _cast(types.float32, types.uint32, ir.IntType(32))
_float: Any = _cast(types.uint32, types.float32, ir.FloatType())


@numba.njit(inline="always")
def _read(half):
    """bfloat16 → float32."""
    return _float(numpy.uint32(half) << _SIXTEEN)


@numba.njit(inline="always")
def _half(x):
    """float32 → bfloat16, to nearest, ties to even; not for NaN."""
    bits = _bits(x)
    return (bits + numpy.uint32(0x7FFF) + ((bits >> _SIXTEEN) & _ONE)) >> _SIXTEEN


@numba.njit(inline="always")
def _as_half(x):
    """float32 rounded to what bfloat16 has."""
    return _float(_half(x) << _SIXTEEN)


@numba.njit(inline="always")
def _clamped(x, lowest, highest):
    return lowest if x < lowest else (highest if x > highest else x)


@numba.njit(inline="always")
def _e4m3(x):
    """float32 within ±448 → E4M3's code as uint32, to nearest, ties to even."""
    bits = _bits(x)
    size = bits & numpy.uint32(0x7FFFFFFF)
    # Of normal numbers the mantissa's upper three bits stay, and the exponent's bias is 7 instead of 127.
    normal = ((size + numpy.uint32(0x7FFFF) + ((size >> _TWENTY) & _ONE)) >> _TWENTY) - numpy.uint32(120 << 3)
    tiny = numpy.uint32(numpy.int32(numpy.rint(_float(size) * numpy.float32(512))))
    code = normal if _float(size) >= _E4M3_SMALLEST else tiny
    return code | ((bits >> numpy.uint32(24)) & numpy.uint32(0x80))


@numba.njit(inline="always")
def _from_e4m3(code):
    """E4M3's code as uint32 → float32; not for NaN."""
    size = _float((code & numpy.uint32(0x7F)) << _TWENTY) * numpy.float32(2.0**120)
    return _float(_bits(size) | ((code & numpy.uint32(0x80)) << numpy.uint32(24)))


@numba.njit(inline="always")
def _group(values, row, group, width):
    """Columns of a group of one row, the last group as far as it goes."""
    return values[row, group * width : min((group + 1) * width, values.shape[1])]


@numba.njit(**_OPTIONS)
def energy(start, stop, values):
    """Σx² of rows start…stop of values (rows × columns, bfloat16)."""
    total = 0.0
    for row in range(start, stop):
        numbers = values[row]
        part = numpy.float32(0)
        for i in range(numbers.size):
            x = _read(numbers[i])
            part += x * x
        total += part
    return total


@numba.njit(**_OPTIONS)
def largest(start, stop, values, width, found):
    """The bits of max|x| of each group of rows start…stop: found (rows × groups, uint16) is overwritten; what is no number is above all."""
    for row in range(start, stop):
        for group in range(found.shape[1]):
            x = _group(values, row, group, width)
            most = numpy.uint16(0)
            for i in range(x.size):
                most = max(most, x[i] & numpy.uint16(0x7FFF))
            found[row, group] = most


@numba.njit(**_OPTIONS)
def pack(start, stop, codes, bits, packed):
    """Codes (rows × n·8/bits, int8) of 2 or 4 bits + half their range, side by side in bytes, the first in the lowest bits; packed (rows ×
    n, uint8) is overwritten."""
    for row in range(start, stop):
        c, into = codes[row], packed[row]
        if bits == 4:
            for i in range(into.size):
                into[i] = ((c[2 * i] + 8) & 15) | (((c[2 * i + 1] + 8) & 15) << 4)
        else:
            for i in range(into.size):
                low = ((c[4 * i] + 2) & 3) | (((c[4 * i + 1] + 2) & 3) << 2)
                into[i] = low | (((c[4 * i + 2] + 2) & 3) << 4) | (((c[4 * i + 3] + 2) & 3) << 6)


@numba.njit(**_OPTIONS)
def to_codes(start, stop, weights, steps, zeros, lowest, highest, width, codes):
    """round(w / s + z) of rows start…stop, within lowest…highest. weights (rows × columns, bfloat16); steps (rows × groups, float32); zeros
    (rows × groups, int8), or no columns; width: columns of a group; codes (rows × columns, int8) is overwritten."""
    low, high = numpy.float32(lowest), numpy.float32(highest)
    for row in range(start, stop):
        for group in range(steps.shape[1]):
            step = steps[row, group]
            zero = numpy.float32(zeros[row, group]) if zeros.shape[1] else numpy.float32(0)
            w, c = _group(weights, row, group, width), _group(codes, row, group, width)
            for i in range(w.size):
                c[i] = numpy.int8(_clamped(numpy.rint(_read(w[i]) / step + zero), low, high))


@numba.njit(**_OPTIONS)
def to_e4m3(start, stop, weights, steps, width, codes):
    """w / s in E4M3; as of `to_codes`, codes (rows × columns, uint8)."""
    for row in range(start, stop):
        for group in range(steps.shape[1]):
            step = steps[row, group]
            w, c = _group(weights, row, group, width), _group(codes, row, group, width)
            for i in range(w.size):
                c[i] = numpy.uint8(_e4m3(_clamped(_read(w[i]) / step, -_E4M3_LARGEST, _E4M3_LARGEST)))


@numba.njit(**_OPTIONS)
def code_noise(start, stop, weights, codes, steps, zeros, width):
    """Σ(ŵ − w)² of rows start…stop, ŵ = (code − z)·s in bfloat16; arguments as of `to_codes`, steps that bfloat16 has."""
    total = 0.0
    for row in range(start, stop):
        for group in range(steps.shape[1]):
            step = steps[row, group]
            zero = numpy.float32(zeros[row, group]) if zeros.shape[1] else numpy.float32(0)
            part = numpy.float32(0)
            w, c = _group(weights, row, group, width), _group(codes, row, group, width)
            for i in range(w.size):
                error = _as_half((numpy.float32(c[i]) - zero) * step) - _read(w[i])
                part += error * error
            total += part
    return total


@numba.njit(**_OPTIONS)
def e4m3_noise(start, stop, weights, codes, steps, width):
    """As `code_noise`, codes (rows × columns, uint8) of E4M3."""
    total = 0.0
    for row in range(start, stop):
        for group in range(steps.shape[1]):
            step = steps[row, group]
            part = numpy.float32(0)
            w, c = _group(weights, row, group, width), _group(codes, row, group, width)
            for i in range(w.size):
                error = _as_half(_from_e4m3(numpy.uint32(c[i])) * step) - _read(w[i])
                part += error * error
            total += part
    return total


@numba.njit(inline="always")
def _token_scale(token, smooth, half_range):
    """max|x / smooth| / half_range, each in bfloat16."""
    # Of numbers without a sign the bits are in the numbers' order, and whole numbers are compared many at a time.
    largest = numpy.uint32(0)
    for i in range(token.size):
        largest = max(largest, _half(_read(token[i]) / smooth[i]) & numpy.uint32(0x7FFF))
    scale = _as_half(_float(largest << _SIXTEEN) / numpy.float32(half_range))
    return _BFLOAT16_EPS if scale == 0 else scale


@numba.njit(**_OPTIONS)
def round_tokens(start, stop, tokens, smooth, back, half_range, half, result):
    """Rows start…stop of tokens (tokens × columns, bfloat16) / smooth (columns, float32 that bfloat16 has), rounded to whole numbers −half
    … half − 1 of their largest magnitude / half_range, times back (like smooth); every step in bfloat16. result, like tokens, is
    overwritten."""
    low, high = numpy.float32(-half), numpy.float32(half - 1)
    for row in range(start, stop):
        token, into = tokens[row], result[row]
        scale = _token_scale(token, smooth, half_range)
        for i in range(token.size):
            scaled = _as_half(_as_half(_read(token[i]) / smooth[i]) / scale)
            value = _as_half(_clamped(numpy.rint(scaled), low, high) * scale)
            into[i] = numpy.uint16(_half(value * back[i]))


@numba.njit(**_OPTIONS)
def round_tokens_e4m3(start, stop, tokens, smooth, back, half_range, half, result):
    """As `round_tokens`, to E4M3."""
    for row in range(start, stop):
        token, into = tokens[row], result[row]
        scale = _token_scale(token, smooth, half_range)
        for i in range(token.size):
            scaled = _as_half(_as_half(_read(token[i]) / smooth[i]) / scale)
            value = _from_e4m3(_e4m3(_clamped(scaled, -_E4M3_LARGEST, _E4M3_LARGEST)))
            into[i] = numpy.uint16(_half(_as_half(value * scale) * back[i]))
