"""A Hugging Face checkpoint folder: one safetensors file or an index with shards, config and everything beside them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.files import CONFIG, INDEX, SINGLE, missing_weights, other_files, read_json, within
from quant_engine.checkpoint.header import TensorInfo, broken, header_bytes, read_header
from quant_engine.checkpoint.recognise import packed_shape, quantization_section, recognise
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.architectures.registry import DecoderFamily

DTYPE_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
_PACKED = re.compile(r"(.+)\.weight_packed")

_OVERHEAD = {
    "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx", "weight_global_scale", "input_scale", "input_global_scale",
}  # fmt: skip
_QWEIGHT_OVERHEAD = {"qzeros", "scales", "g_idx"}

_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
"""How many places of a weight file, besides its end, a resume compares, and how much at each."""


class Checkpoint:
    """An opened checkpoint. Opening reads headers and config only and needs no torch."""

    def __init__(self, path: Path, config: dict[str, Any], tensors: dict[str, TensorInfo], others: list[Path]) -> None:
        self.path = path
        self.config = config
        self.tensors = tensors
        self.other_files = others
        """Files the writer carries over unchanged: tokenizer, generation_config …; never weights, pickles or code."""
        self.bytes = sum(tensor.bytes for tensor in tensors.values())
        """Tensor bytes."""
        self.parameters = sum(_parameters(tensor, tensors) for tensor in tensors.values())
        """Weights: of a quantized checkpoint those that its packed tensors stand for, without scales and zero
        points."""
        self.dtype = _dtype(config, tensors)
        """Name of the dtype the model computes in, for example bfloat16: the config's, else that of most bytes."""
        architectures = config.get("architectures")
        first = architectures[0] if isinstance(architectures, list) and architectures else ""
        self.architecture = first if isinstance(first, str) else ""
        """transformers' class, for example LlamaForCausalLM."""
        self.model_type = str(config.get("model_type", ""))
        self.quantization_section = quantization_section(path, config)
        """What config.json or a file beside it says of the quantization; empty when nothing does."""
        self.quantization = recognise(self.quantization_section, tensors)
        self.walk_verified = False
        """Whether the walk of an architecture that has no file of its own was compared with transformers' forward pass."""

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Raises QuantError with code model-missing, model-broken or model-not-safetensors."""
        if not path.is_dir():
            what = "it is a file, not a checkpoint folder" if path.exists() else "the folder does not exist"
            raise QuantError(
                f'no checkpoint at "{path}": {what}',
                code="model-missing",
                advice="Give the folder that holds config.json.",
            )
        files = _weight_files(path)
        config = read_json(within(path, CONFIG)) if (path / CONFIG).exists() else None
        if config is None:
            raise broken(path, f"it has weights and no {CONFIG}", f"Copy {CONFIG} of the original model into it.")
        return cls(path, config, _tensors(files), other_files(path))

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding: as config.json says, else as transformers takes it for the architecture."""
        said = self.config.get("tie_word_embeddings")
        return bool(said) if said is not None else not isinstance(self.family, str) and self.family.tied

    @cached_property
    def family(self) -> DecoderFamily | str:
        """Where the model keeps its blocks and layers; a text: what is missing to know it."""
        from quant_engine.architectures.generic import read_family
        from quant_engine.architectures.registry import family_of

        family = family_of(self.architecture)
        if family is not None and family.experts is not None:
            stacked = next((name for name in self.tensors if name.endswith(f".{family.experts.module}.gate_up_proj")), None)
            if stacked is not None:
                return f"{stacked} holds all experts in one tensor, and one for each is needed; transformers' save_pretrained writes those"
        return family or read_family(self)

    def load(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The named tensors, copied out of the memory-mapped files; KeyError for a name the checkpoint does not
        have."""
        from safetensors import safe_open

        by_file: dict[Path, list[str]] = {}
        for name in names:
            by_file.setdefault(self.tensors[name].file, []).append(name)
        loaded: dict[str, Tensor] = {}
        for file, wanted in by_file.items():
            with safe_open(file, framework="pt") as stream:
                # A tensor of the mapping would keep the whole file mapped, and break when the file is replaced.
                loaded.update({name: stream.get_tensor(name).clone() for name in wanted})
        return loaded

    def identity(self) -> dict[str, str]:
        """What a resume compares: for each weight file a SHA-256 of its header, its size and samples of its data, and
        one of config.json."""
        files = sorted({tensor.file for tensor in self.tensors.values()})
        identity = {file.name: _fingerprint(file) for file in files}
        identity[CONFIG] = hashlib.sha256((self.path / CONFIG).read_bytes()).hexdigest()
        return identity


def _fingerprint(file: Path) -> str:
    """4 MiB of a file of any size: fast, and other training or another download shows in every sample. A file up to
    that size is read whole."""
    header, size = header_bytes(file), file.stat().st_size
    digest = hashlib.sha256(header)
    digest.update(str(size).encode())
    start, last = 8 + len(header), size - _SAMPLE_BYTES
    with file.open("rb") as stream:
        if size - start <= (_SAMPLES + 1) * _SAMPLE_BYTES:
            stream.seek(start)
            digest.update(stream.read())
        else:
            for index in range(_SAMPLES + 1):
                stream.seek(start + (last - start) * index // _SAMPLES)
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _weight_files(path: Path) -> dict[Path, set[str]]:
    """Each safetensors file with the names that the index promises in it (none are promised without an index)."""
    if (path / SINGLE).exists():
        return {within(path, SINGLE): set()}
    if not (path / INDEX).exists():
        raise missing_weights(path)
    index = read_json(within(path, INDEX))
    weight_map = index.get("weight_map")
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(value, str) for value in weight_map.values())
    ):
        raise broken(path / INDEX, "it has no weight_map from tensor to file")
    files: dict[Path, set[str]] = {}
    shards: dict[str, Path] = {}
    for name, shard in weight_map.items():
        if shard not in shards:
            shards[shard] = within(path, shard)
            if not shards[shard].is_file():
                raise broken(path / INDEX, f'it names "{shard}", which does not exist')
        files.setdefault(shards[shard], set()).add(name)
    return files


def _tensors(files: dict[Path, set[str]]) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for file, promised in files.items():
        header = read_header(file)
        absent = promised - header.keys()
        if absent:
            raise broken(file, f'the index says that it holds "{min(absent)}", and it does not')
        twice = tensors.keys() & header.keys()
        if twice:
            name = min(twice)
            raise broken(file, f'it holds "{name}", which {tensors[name].file.name} holds too')
        tensors.update(header)
    return tensors


def _parameters(tensor: TensorInfo, tensors: dict[str, TensorInfo]) -> int:
    packed = _PACKED.fullmatch(tensor.name)
    if packed:
        return _packed_elements(tensor, tensors.get(f"{packed[1]}.weight_shape"))
    stem, _, part = tensor.name.rpartition(".")
    if part in _QWEIGHT_OVERHEAD and f"{stem}.qweight" in tensors:
        return 0
    shape = packed_shape(tensors, stem) if part == "qweight" else None
    if shape is not None:
        return shape[0] * shape[1]
    if part in _OVERHEAD and (f"{stem}.weight_packed" in tensors or f"{stem}.weight_scale" in tensors):
        return 0
    return tensor.elements


def _packed_elements(packed: TensorInfo, shape: TensorInfo | None) -> int:
    if shape is not None:
        return prod_shape(shape)
    return packed.elements * (2 if packed.dtype == "U8" else 1)


def stored_shape(shape: TensorInfo) -> tuple[int, int]:
    """The numbers in a `weight_shape` tensor (2 × int64 or int32): rows and columns of the weight that a packed tensor
    stands for."""
    width = shape.bytes // 2
    if shape.shape != (2,) or width not in (4, 8):
        raise broken(shape.file, f'"{shape.name}" is not a pair of sizes')
    with shape.file.open("rb") as stream:
        stream.seek(shape.start)
        data = stream.read(shape.bytes)
    return int.from_bytes(data[:width], "little"), int.from_bytes(data[width:], "little")


def prod_shape(shape: TensorInfo) -> int:
    rows, columns = stored_shape(shape)
    return rows * columns


def _dtype(config: dict[str, Any], tensors: dict[str, TensorInfo]) -> str:
    named = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    if named in DTYPE_NAMES.values():
        return named
    counted: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in DTYPE_NAMES:
            counted[DTYPE_NAMES[tensor.dtype]] += tensor.bytes
    return counted.most_common(1)[0][0] if counted else "float32"
