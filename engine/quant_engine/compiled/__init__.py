"""Loops that read every number once, compiled for this machine's processor by Numba: the same bits as torch's operations, one after the
other, several times as fast (docs/decisions/0019-compiled-loops.md).

Each function here says None where the loop is not for what it was given (another dtype or device, too little to be worth it, no Numba), and
the caller goes on with torch's operations.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.grid import Grid
    from quant_engine.formats.inputs import InputQuantizer
    from quant_engine.formats.scheme import InputFormat, WeightFormat

log = logging.getLogger(__name__)
LEAST = 1 << 19
"""Numbers from which on a loop is worth its call."""


_WANTED = Event()
"""Set when somebody has so much to do that half a second and 100 MB for the loops are well spent. From then on everybody takes them, and
waits for them, so that a run's numbers do not depend on how long that takes."""


@cache
def _load() -> Any:
    """The module of the loops; None without Numba, and where it finds no folder for what it compiles."""
    try:
        from quant_engine.compiled import loops
    except (ImportError, RuntimeError) as error:
        log.warning("torch's operations are used instead of compiled loops: %s", error)
        return None
    return loops


def warm_for(sizes: Iterable[int]) -> None:
    """Begin, in a thread of its own, to compile the loops or to fetch them from the disk, if one of the matrices has so many weights."""
    if any(size >= LEAST for size in sizes):
        _WANTED.set()
        Thread(target=_warm, daemon=True, name="compiled-loops").start()


def _warm() -> None:
    loops = _load()
    if loops is None:
        return
    halves, bytes_, signed = (torch.empty((0, 1), dtype=kind).numpy() for kind in (torch.uint16, torch.uint8, torch.int8))
    steps = torch.empty((0, 1)).numpy()
    loops.energy(0, 0, halves)
    loops.largest(0, 0, halves, 1, halves)
    loops.pack(0, 0, signed, 4, bytes_)
    loops.to_codes(0, 0, halves, steps, signed, -8, 7, 1, signed)
    loops.code_noise(0, 0, halves, signed, steps, signed, 1)
    loops.to_e4m3(0, 0, halves, steps, 1, bytes_)
    loops.e4m3_noise(0, 0, halves, bytes_, steps, 1)


def _loops_for(values: Tensor, dtype: torch.dtype | None = None) -> Any:
    """The loops, if they are wanted and are for such numbers. dtype: bfloat16 by default."""
    fits = values.dtype == (dtype or torch.bfloat16) and values.device.type == "cpu" and values.numel() >= LEAST
    return _load() if fits and _WANTED.is_set() else None


def _is_plain(weight_format: WeightFormat) -> bool:
    """Whole numbers or E4M3, with scales that need no factor."""
    return weight_format.scale == "weight" and (weight_format.type == "int" or weight_format.num_bits == 8)


def energy(values: Tensor) -> float | None:
    """Σx² of a matrix: sums of a row in float32, their sum in float64."""
    loops = _loops_for(values)
    return sum(_by_rows(loops.energy, len(values), _bits(values))) if loops else None


def largest(values: Tensor, width: int) -> Tensor | None:
    """max|x| of each `width` columns of a row, (rows × groups)."""
    loops = _loops_for(values)
    if not loops:
        return None
    found = torch.empty((len(values), -(-values.shape[1] // width)), dtype=values.dtype)
    _by_rows(loops.largest, len(values), _bits(values), width, _bits(found))
    return found


def packed(codes: Tensor, bits: int) -> Tensor | None:
    """`quant_engine.formats.packing.pack` of rows that fill whole words."""
    whole = bits in (2, 4) and codes.shape[1] * bits % 32 == 0 and codes.is_contiguous() and sys.byteorder == "little"
    loops = _loops_for(codes, torch.int8)
    if not (whole and loops):
        return None
    found = torch.empty((len(codes), codes.shape[1] * bits // 8), dtype=torch.uint8)
    _by_rows(loops.pack, len(codes), codes.numpy(), bits, found.numpy())
    return found.view(torch.int32)


def encoded(weight: Tensor, grid: Grid) -> Tensor | None:
    """`quant_engine.formats.grid.encode`."""
    kind, loops = grid.weight_format, _loops_for(weight)
    if not (loops and grid.order is None and _is_plain(kind)):
        return None
    bits, steps, width = _bits(weight), _steps(grid, weight), grid.width(weight.shape[1])
    if kind.type == "float":
        codes = torch.empty(weight.shape, dtype=torch.float8_e4m3fn)
        _by_rows(loops.to_e4m3, len(weight), bits, steps, width, codes.view(torch.uint8).numpy())
        return codes
    codes = torch.empty(weight.shape, dtype=torch.int8)
    _by_rows(loops.to_codes, len(weight), bits, steps, _zeros(grid), *kind.code_range, width, codes.numpy())
    return codes


def noise(weight: Tensor, codes: Tensor, grid: Grid) -> float | None:
    """Σ(ŵ − w)² of the weights ŵ that `quant_engine.formats.grid.decode` gives: sums of a group in float32, their sum in float64."""
    kind, loops = grid.weight_format, _loops_for(weight)
    plain = grid.order is None and _is_plain(kind) and grid.scales.dtype == torch.bfloat16 and codes.is_contiguous()
    if not (loops and plain):
        return None
    bits, steps, width = _bits(weight), _steps(grid, weight), grid.width(weight.shape[1])
    if kind.type == "float":
        return sum(_by_rows(loops.e4m3_noise, len(weight), bits, codes.view(torch.uint8).numpy(), steps, width))
    return sum(_by_rows(loops.code_noise, len(weight), bits, codes.numpy(), steps, _zeros(grid), width))


def rounded_inputs(X: Tensor, quantizer: InputQuantizer, scaled: bool = False) -> Tensor | None:
    """`InputQuantizer.__call__`, or its `scaled`, for scales of whole tokens that are found at run time."""
    kind = quantizer.input_format
    if not (quantizer.scale is None and _is_by_token(kind)):
        return None
    if X.numel() >= LEAST:
        _WANTED.set()
    loops = _loops_for(X)
    if not loops:
        return None
    rows = X.reshape(-1, X.shape[-1])
    result = torch.empty_like(rows)
    ones = torch.ones(X.shape[-1])
    smooth = ones if quantizer.smooth is None else quantizer.smooth.to(torch.bfloat16).float()
    back = ones if scaled else smooth
    loop = loops.round_tokens_e4m3 if kind.type == "float" else loops.round_tokens
    _by_rows(loop, len(rows), _bits(rows), smooth.numpy(), back.numpy(), kind.half_range, 1 << (kind.num_bits - 1), _bits(result))
    return result.reshape(X.shape)


def _is_by_token(kind: InputFormat) -> bool:
    return kind.scale == "weight" and kind.group_size is None and kind.dynamic and (kind.type == "int" or kind.num_bits == 8)


def _bits(values: Tensor) -> Any:
    return values.detach().contiguous().view(torch.uint16).numpy()


def _steps(grid: Grid, weight: Tensor) -> Any:
    return grid.steps(len(weight), torch.float32).contiguous().numpy()


def _zeros(grid: Grid) -> Any:
    """(rows × groups) int8; (rows × 0) of a symmetric grid."""
    return (torch.empty((len(grid.scales), 0), dtype=torch.int8) if grid.zeros is None else grid.zeros.contiguous()).numpy()


def _by_rows(loop: Callable[..., Any], rows: int, *arguments: Any) -> list[Any]:
    """The loop's results on runs of rows, one for each of torch's threads; it takes the first row and the one behind the last first."""
    threads = min(torch.get_num_threads(), rows)
    if threads == 1:
        return [loop(0, rows, *arguments)]
    bounds = [rows * number // threads for number in range(threads + 1)]
    return list(_threads(threads).map(lambda start, stop: loop(start, stop, *arguments), bounds[:-1], bounds[1:]))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="compiled-loop")
