"""The files of a checkpoint folder: which are read, which are carried over, and none from outside it."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from quant_engine.checkpoint.header import broken
from quant_engine.errors import QuantError

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DESCRIPTIONS = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""Where GPTQ, AWQ and ModelOpt tools describe a quantization outside config.json."""
MAX_JSON_BYTES = 100_000_000
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_NOT_CARRIED = _PICKLES | {".safetensors", ".gguf", ".onnx", ".h5", ".msgpack", ".py", ".so", ".dll", ".exe"}


def within(folder: Path, name: str) -> Path:
    """`folder / name`, or QuantError(code="model-broken") when that is not a file name of the folder or links out of
    it.

    A Hugging Face cache folder consists of links into the `blobs` beside its snapshots; exactly these are followed.
    """
    plain = name and name not in (".", "..") and PurePosixPath(name).name == name and PureWindowsPath(name).name == name
    if not plain or "\0" in name:
        raise broken(folder, f'it names the file "{name[:200]}"; only files of the folder itself are read')
    path = folder / name
    if path.is_symlink():
        target, home = path.resolve(), folder.resolve()
        blobs = home.parent.parent / "blobs"
        if target.parent != home and not (home.parent.name == "snapshots" and target.parent == blobs):
            raise broken(path, f'it is a link to "{target}", outside the folder')
    return path


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of at most 100 MB, or QuantError(code="model-broken")."""
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise broken(file, f"it has more than {MAX_JSON_BYTES} bytes")
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise QuantError(
            f"cannot read {file}: {error.strerror or error}",
            code="model-broken",
            advice="Check the file's permissions.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise broken(file, f"it is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise broken(file, "it is not a JSON object")
    return document


_FOREIGN_CARD = (
    "> These are quantized weights, written by quant-engine. What follows is the card of the original checkpoint: its sizes and scores are "
    "not those of this one.\n\n"
)
_FRONT_MATTER = re.compile(rb"---\r?\n.*?\n---\r?\n+", re.DOTALL)


def carried(file: Path) -> bytes:
    """A file of `other_files` as it goes into a quantized copy: unchanged, but a card says whose it is."""
    content = file.read_bytes()
    if file.name.lower() != "readme.md":
        return content
    front = _FRONT_MATTER.match(content)
    start = front.end() if front else 0
    return content[:start] + _FOREIGN_CARD.encode() + content[start:]


def other_files(folder: Path) -> list[Path]:
    """Everything beside weights and config that a copy of the checkpoint needs; no hidden files, no pickles, no
    code."""
    return [
        within(folder, path.name)
        for path in sorted(folder.iterdir())
        if path.is_file()
        and not path.name.startswith(".")
        and path.name not in (CONFIG, INDEX, *DESCRIPTIONS)
        and path.suffix.lower() not in _NOT_CARRIED
        and not path.name.endswith(".index.json")
    ]


def missing_weights(folder: Path) -> QuantError:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLES)
    if pickles:
        return QuantError(
            f'"{folder}" has only pickle weights ({pickles[0]}); they can execute code when loaded and are refused',
            code="model-not-safetensors",
            advice="Convert them on a machine you can afford to lose, with transformers' save_pretrained.",
        )
    if not (folder / CONFIG).exists():
        return QuantError(
            f'no checkpoint at "{folder}": the folder has neither {CONFIG} nor safetensors weights',
            code="model-missing",
            advice="Give the folder that has them.",
        )
    return broken(folder, f"it has neither {SINGLE} nor {INDEX}")
