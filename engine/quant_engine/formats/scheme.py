"""Quantization schemes by compressed-tensors' names, for example W4A16: 4-bit weights, 16-bit activations.

Importing this module must stay cheap (no torch): recipe checking and the schema need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

GROUP_SIZES = (32, 64, 128, 256)
DEFAULT_GROUP_SIZE = 128

OutputFormat = Literal["compressed-tensors", "gptq", "gptq_v2"]
"""Whose tensors and words a written checkpoint has; GPTQ's versions differ in how a zero point is stored."""
COMPRESSED: OutputFormat = "compressed-tensors"
CompressedLayout = Literal["pack-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized"]
Layout = CompressedLayout | Literal["gptq", "gptq_v2"]
GPTQ_LAYOUTS = ("gptq", "gptq_v2")
GPTQ_BITS = (2, 3, 4, 8)
LARGEST_FLOAT = {8: 448.0, 4: 6.0}
"""Largest E4M3 and E2M1 values."""


@dataclass(frozen=True)
class WeightFormat:
    """How the weights of a linear layer (out × in) are stored; the fields are compressed-tensors' quantization
    arguments."""

    num_bits: int
    symmetric: bool = True
    group_size: int | None = DEFAULT_GROUP_SIZE
    """Consecutive input columns that share a scale; None: one scale for each output row (channel)."""
    type: Literal["int", "float"] = "int"
    block: tuple[int, int] | None = None
    """Rows and columns of the rectangles that share a scale, in place of group_size."""
    per_tensor: bool = False
    """One scale for the whole matrix, in place of group_size."""
    scale: Literal["weight", "half", "float8", "power"] = "weight"
    """Dtype of a stored scale: the weight's; float16, of values that the weight's dtype has too (GPTQ's layout); E4M3 under one float32
    factor of the tensor (NVFP4); an exponent of 2 in one byte (MX)."""
    layout: Layout = "pack-quantized"
    fused_largest: float | None = None
    """Largest magnitude of all layers that are served as one with this one, which then share NVFP4's factor; None: it has its own."""

    @property
    def strategy(self) -> Literal["group", "channel", "tensor", "block", "tensor_group"]:
        if self.block:
            return "block"
        if self.per_tensor:
            return "tensor"
        if self.scale == "float8":
            return "tensor_group"
        return "channel" if self.group_size is None else "group"

    @property
    def rows_are_independent(self) -> bool:
        """Whether a row's codes depend on that row alone, so that layers which share an input can be stacked."""
        return self.strategy in ("group", "channel")

    @property
    def code_range(self) -> tuple[float, float]:
        """Smallest and largest value of a code: −2^(b−1) and 2^(b−1)−1 of integers."""
        if self.type == "float":
            return -LARGEST_FLOAT[self.num_bits], LARGEST_FLOAT[self.num_bits]
        half = 1 << (self.num_bits - 1)
        return -half, half - 1

    @property
    def stored_bits(self) -> int:
        """Bits that a code takes in the checkpoint."""
        return 8 if self.layout in ("int-quantized", "float-quantized") else self.num_bits

    def groups(self, columns: int) -> int:
        """Number of scales along one row of `columns` weights."""
        if self.block:
            return -(-columns // self.block[1])
        return 1 if self.group_size is None or self.per_tensor else columns // self.group_size

    def has_order(self, columns: int) -> bool:
        """Whether it makes a difference which group each of `columns` columns belongs to."""
        return self.strategy == "group" and self.groups(columns) > 1

    def fits(self, columns: int) -> bool:
        return self.group_size is None or columns % self.group_size == 0

    def bits_per_weight(self, columns: int, scale_bits: int = 16, rows: int = 4096) -> float:
        """Stored bits for each weight: codes, scales and, when asymmetric, zero points; GPTQ's layout has zero points always, and the group
        of each column. rows: matter to what rows share."""
        stored = self.stored_bits
        if self.is_gptq:
            return stored + (16 + self.num_bits) * self.groups(columns) / columns + 32 / rows
        if self.per_tensor:
            return stored + scale_bits / (rows * columns)
        if self.block:
            return stored + scale_bits * -(-rows // self.block[0]) * self.groups(columns) / (rows * columns)
        own_scale_bits = scale_bits if self.scale == "weight" else 8
        overhead = own_scale_bits + (0 if self.symmetric else self.num_bits)
        return stored + overhead * self.groups(columns) / columns + (32 / (rows * columns) if self.scale == "float8" else 0)

    def stored_bytes(self, rows: int, columns: int, scale_bytes: int) -> int:
        """Bytes of all tensors that stand for a weight (rows × columns) in a checkpoint (quant_engine.formats.stored)."""
        groups = self.groups(columns)
        if self.is_gptq:
            words = columns * self.num_bits // 32 * rows + groups * (rows * self.num_bits // 32)
            return 4 * words + 2 * groups * rows + 4 * columns
        if self.layout == "pack-quantized":
            zeros = 0 if self.symmetric else 4 * -(-rows * self.num_bits // 32) * groups
            return 4 * rows * -(-columns * self.num_bits // 32) + rows * groups * scale_bytes + zeros + 16
        if self.scale != "weight":
            return rows * columns // 2 + rows * groups + (4 if self.scale == "float8" else 0)
        scales = 1 if self.per_tensor else groups * (-(-rows // self.block[0]) if self.block else rows)
        return rows * columns + scales * scale_bytes

    def arguments(self) -> dict[str, Any]:
        """compressed-tensors' `QuantizationArgs` as JSON."""
        arguments: dict[str, Any] = {
            "num_bits": self.num_bits,
            "type": self.type,
            "symmetric": self.symmetric,
            "strategy": self.strategy,
            "group_size": None if self.block or self.per_tensor else self.group_size,
            "dynamic": False,
        }
        if self.block:
            arguments["block_structure"] = list(self.block)
        return arguments | _scale_dtypes(self.scale)

    @property
    def shares_factor(self) -> bool:
        """Whether layers that are served as one have one factor (NVFP4)."""
        return self.scale == "float8"

    def fused(self, largest: float | None) -> WeightFormat:
        """For a layer that is served as one with others of that largest magnitude; formats without a factor stay as they are."""
        return replace(self, fused_largest=largest) if self.shares_factor else self

    def with_group_size(self, group_size: int | None) -> WeightFormat:
        return replace(self, group_size=group_size)

    @property
    def is_gptq(self) -> bool:
        return self.layout in GPTQ_LAYOUTS

    def stored_as(self, output: OutputFormat) -> WeightFormat:
        """The same numbers in another format; what GPTQ's cannot hold at all stays as it is."""
        if output == "compressed-tensors" or self.layout != "pack-quantized":
            return self
        return replace(self, layout=output, scale="half")


def _scale_dtypes(scale: str) -> dict[str, str]:
    dtypes = {"float8": "torch.float8_e4m3fn", "power": "torch.uint8"}
    return dict.fromkeys(("scale_dtype", "zp_dtype"), dtypes[scale]) if scale in dtypes else {}


@dataclass(frozen=True)
class InputFormat:
    """How a linear layer's inputs (tokens × in) are rounded when the layer runs."""

    num_bits: int = 8
    type: Literal["int", "float"] = "int"
    strategy: Literal["token", "tensor", "group", "tensor_group"] = "token"
    group_size: int | None = None
    dynamic: bool = True
    """Whether scales are found at run time; otherwise one `input_scale` from calibration is stored."""
    scale: Literal["weight", "float8", "power"] = "weight"
    """As of WeightFormat; the factor of `float8` is `input_global_scale`, from calibration, its scales are found at run time."""

    @property
    def half_range(self) -> float:
        """What the largest magnitude is divided by to get a scale: 127.5, or the largest float."""
        return LARGEST_FLOAT[self.num_bits] if self.type == "float" else ((1 << self.num_bits) - 1) / 2

    @property
    def stored_scale(self) -> str | None:
        """The tensor that calibration leaves in the checkpoint; None: everything is found at run time."""
        if self.scale == "float8":
            return "input_global_scale"
        return None if self.dynamic else "input_scale"

    def stored_bytes(self, scale_bytes: int) -> int:
        """Of that tensor."""
        if self.stored_scale is None:
            return 0
        return 4 if self.scale == "float8" else scale_bytes

    def fits(self, columns: int) -> bool:
        return self.group_size is None or columns % self.group_size == 0

    def arguments(self) -> dict[str, Any]:
        """compressed-tensors' `QuantizationArgs` as JSON."""
        arguments: dict[str, Any] = {
            "num_bits": self.num_bits,
            "type": self.type,
            "symmetric": True,
            "strategy": self.strategy,
            "group_size": self.group_size,
            "dynamic": "local" if self.scale == "float8" else self.dynamic,
        }
        return arguments | _scale_dtypes(self.scale)


@dataclass(frozen=True)
class Scheme:
    """A named scheme: its number formats and a sentence for completion and hover."""

    name: str
    weights: WeightFormat
    description: str
    inputs: InputFormat | None = None
    """None: inputs stay as they are."""
    regroupable: bool = True
    """Whether a recipe may choose the group size."""

    @property
    def outputs(self) -> tuple[OutputFormat, ...]:
        """Formats that can store it; what a format asks of single layers is another question."""
        packed = self.weights.layout == "pack-quantized" and self.weights.num_bits in GPTQ_BITS and self.inputs is None
        return get_args(OutputFormat) if packed else (COMPRESSED,)


def _weight_only(bits: int) -> Scheme:
    served = "" if bits in (4, 8) else " vLLM has had kernels for 4 and 8 bits, and has them for others in its newest releases only."
    return Scheme(
        name=f"W{bits}A16",
        weights=WeightFormat(num_bits=bits),
        description=f"{bits}-bit integer weights, symmetric, a scale for each {DEFAULT_GROUP_SIZE} inputs; 16-bit activations.{served}",
    )


def _asymmetric(bits: int) -> Scheme:
    readers = "transformers before 5.23 or vLLM" if bits in (4, 8) else "transformers before 5.23"
    return Scheme(
        name=f"W{bits}A16_ASYM",
        weights=WeightFormat(num_bits=bits, symmetric=False),
        description=(
            f"{bits}-bit integer weights, asymmetric, a scale and a zero point for each {DEFAULT_GROUP_SIZE} inputs; 16-bit activations. "
            f"To load it takes {readers}."
        ),
    )


_TOKEN_INT8 = InputFormat(8, "int", "token")
_FLOAT8 = WeightFormat(8, type="float", group_size=None, layout="float-quantized")
_NVFP4 = WeightFormat(4, type="float", group_size=16, scale="float8", layout="nvfp4-pack-quantized")
_MXFP4 = WeightFormat(4, type="float", group_size=32, scale="power", layout="mxfp4-pack-quantized")

_OTHERS = (
    Scheme(
        "W8A8",
        WeightFormat(8, group_size=None, layout="int-quantized"),
        "8-bit integer weights, a scale for each output; inputs in 8-bit integers, a scale for each token found at run time.",
        _TOKEN_INT8,
    ),
    Scheme(
        "W4A8",
        WeightFormat(4, layout="int-quantized"),
        "4-bit integer weights in bytes, a scale for each 128 inputs; inputs in 8-bit integers, a scale for each token found at run time.",
        _TOKEN_INT8,
    ),
    Scheme(
        "FP8",
        replace(_FLOAT8, per_tensor=True),
        "E4M3 weights and inputs, one scale for each matrix and one for its inputs, from calibration.",
        InputFormat(8, "float", "tensor", dynamic=False),
        regroupable=False,
    ),
    Scheme(
        "FP8_DYNAMIC",
        _FLOAT8,
        "E4M3 weights, a scale for each output; E4M3 inputs, a scale for each token found at run time. Needs no calibration.",
        InputFormat(8, "float", "token"),
        regroupable=False,
    ),
    Scheme(
        "FP8_BLOCK",
        replace(_FLOAT8, block=(128, 128)),
        "E4M3 weights, a scale for each 128 × 128 block; E4M3 inputs, a scale for each 128 of a token, found at run time.",
        InputFormat(8, "float", "group", 128),
        regroupable=False,
    ),
    Scheme(
        "NVFP4A16",
        _NVFP4,
        "E2M1 weights, an E4M3 scale for each 16 inputs and a float32 factor for each matrix (or those served as one); 16-bit activations.",
        regroupable=False,
    ),
    Scheme(
        "NVFP4",
        _NVFP4,
        "E2M1 weights and inputs, an E4M3 scale for each 16, a float32 factor for each matrix (or those served as one) and one for inputs.",
        InputFormat(4, "float", "tensor_group", 16, scale="float8"),
        regroupable=False,
    ),
    Scheme(
        "MXFP4A16",
        _MXFP4,
        "E2M1 weights, a power of two for each 32 inputs; 16-bit activations.",
        regroupable=False,
    ),
    Scheme(
        "MXFP4",
        _MXFP4,
        "E2M1 weights and inputs, a power of two for each 32 of them, those of the inputs found at run time.",
        InputFormat(4, "float", "group", 32, scale="power"),
        regroupable=False,
    ),
)

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (*map(_weight_only, range(2, 9)), *map(_asymmetric, range(2, 9)), *_OTHERS)}
"""Only schemes whose checkpoints load in transformers unchanged; those with zero points not in every release of it
(docs/decisions/0004-zero-points.md)."""

FLOAT8_SCHEMES = tuple(name for name, scheme in SCHEMES.items() if scheme.weights.layout == "float-quantized")
OTHER_SCHEMES = tuple(name for name in SCHEMES if name not in FLOAT8_SCHEMES)
"""Integer and 4-bit float weights."""
