"""Hostile and broken safetensors headers: each is refused with the file's name and the reason."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from quant_engine.checkpoint import header
from quant_engine.checkpoint.header import read_header
from quant_engine.errors import QuantError

GOOD = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}


def write(file: Path, document: Any, data: bytes = b"\0" * 16, length: int | None = None) -> Path:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    file.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return file


def test_what_safetensors_writes_is_read(tmp_path: Path):
    tensors = {"b": torch.zeros(3, 5, dtype=torch.bfloat16), "a": torch.ones(7), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "good.safetensors", metadata={"format": "pt"})
    found = read_header(tmp_path / "good.safetensors")
    assert {name: (info.dtype, info.shape) for name, info in found.items()} == {
        "b": ("BF16", (3, 5)), "a": ("F32", (7,)), "empty": ("F32", (0, 4)),
    }  # fmt: skip
    info = found["a"]
    with info.file.open("rb") as stream:
        stream.seek(info.start)
        assert stream.read(info.bytes) == torch.ones(7).numpy().tobytes()


def entry(**changes: Any) -> dict[str, Any]:
    return {"a": {**GOOD["a"], **changes}}


BROKEN: dict[str, tuple[Any, str]] = {
    "not JSON": (b'{"a": ', "not JSON"),
    "not UTF-8": (b'{"\xff": 1}', "not JSON"),
    "deep nesting": (b"[" * 200_000, "not JSON"),
    "a list": ([], "not a JSON object"),
    "a key twice": (b'{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"a":{}}', "twice"),
    "an inner key twice": (b'{"a":{"dtype":"U8","dtype":"I8","shape":[16],"data_offsets":[0,16]}}', "twice"),
    "a huge number": (b'{"a":{"dtype":"U8","shape":[1' + b"0" * 5000 + b'],"data_offsets":[0,16]}}', "5001 digits"),
    "not a number": (b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,16]}}', "NaN"),
    "metadata that is no text": ({"__metadata__": {"a": 1}, **GOOD}, "__metadata__"),
    "an entry without offsets": ({"a": {"dtype": "F32", "shape": [2, 2]}}, "data_offsets"),
    "an extra key": (entry(more=1), "not described"),
    "an unknown dtype": (entry(dtype="F31"), "unknown dtype"),
    "a dtype that is a list": (entry(dtype=["F32"]), "unknown dtype"),
    "a negative size": (entry(shape=[-2, -2]), "not a list of sizes"),
    "a size that is true": (entry(shape=[True, 4]), "not a list of sizes"),
    "a fractional size": (entry(shape=[2.0, 2]), "not a list of sizes"),
    "too many dimensions": (entry(shape=[1] * 65), "not a list of sizes"),
    "a shape that overflows 64 bits": (entry(shape=[2**62, 4, 4]), "needs"),
    "a shape that overflows a float": (entry(shape=[2**62] * 17), "needs far more bytes"),
    "a shape that is too small": (entry(shape=[2, 1]), "needs 8 bytes"),
    "offsets backwards": (entry(data_offsets=[16, 0]), "not a start and an end"),
    "one offset": (entry(data_offsets=[0]), "not a start and an end"),
    "an end beyond the file": (entry(shape=[2, 4], data_offsets=[0, 32]), "ends at byte"),
    "an overlap": ({**GOOD, "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}, "overlaps"),
    "a hole": ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}, "hole"),
    "bytes after the last tensor": ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "file at byte"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_header_is_refused(name: str, tmp_path: Path):
    document, reason = BROKEN[name]
    file = write(tmp_path / "model.safetensors", document)
    with pytest.raises(QuantError) as caught:
        read_header(file)
    assert caught.value.code == "model-broken"
    assert str(file) in caught.value.message and reason in caught.value.message
    assert len(caught.value.message) < 1000 and caught.value.advice


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(QuantError, match="it is not a file"):
        read_header(tmp_path / "model.safetensors")


def test_a_truncated_file_is_refused(tmp_path: Path):
    whole = write(tmp_path / "whole.safetensors", GOOD).read_bytes()
    for size in (0, 5, 8, 20, len(whole) - 1):
        file = tmp_path / f"cut-{size}.safetensors"
        file.write_bytes(whole[:size])
        with pytest.raises(QuantError, match="is broken") as caught:
            read_header(file)
        assert caught.value.code == "model-broken"


def test_a_git_lfs_pointer_is_called_one(tmp_path: Path):
    file = tmp_path / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(QuantError, match="is a Git LFS pointer, not the weights; git lfs pull"):
        read_header(file)


@pytest.mark.parametrize("length", [2**64 - 1, header.MAX_HEADER_BYTES + 1, 10_000])
def test_a_header_longer_than_allowed_is_refused_unread(length: int, tmp_path: Path):
    file = write(tmp_path / "model.safetensors", GOOD, length=length)
    with pytest.raises(QuantError, match=f"claims {length} bytes"):
        read_header(file)


def test_a_hostile_name_does_not_flood_the_message(tmp_path: Path):
    file = write(tmp_path / "model.safetensors", {"\x1b[2J" + "x" * 100_000: {"dtype": "?"}})
    with pytest.raises(QuantError) as caught:
        read_header(file)
    assert len(caught.value.message) < 1000 and "\x1b" not in caught.value.message
