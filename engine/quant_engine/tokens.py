"""Token batches from text, for calibration and for the held-out evaluation.

Documents are tokenized without special tokens, joined with the end-of-sequence token between them, and the stream is cut into
sequences of equal length. A tokenizer that puts a beginning-of-sequence token before a text puts it before each sequence: models
trained with it answer nonsense, with outliers nowhere else seen, when it is absent. Calibration draws documents in an order given by
the seed and stops as soon as it has enough; held-out sequences are spread evenly over the whole file. When both keys name the same
file, its last quarter (every fourth document, or the last quarter of a single one) is the held-out part and calibration never sees it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.advice import ADVICE
from quant_engine.errors import QuantError
from quant_engine.texts import documents

if TYPE_CHECKING:
    from torch import Tensor

BATCH_TOKENS = 4096
"""Tokens that pass a block together: enough to use the matrix units, few enough that activations stay small."""
IMPORTANCE_TOKENS = 32768
"""Calibration tokens that importance is measured on at most: mean squares need far fewer than Gram matrices, and what each block reads of
them is stored."""
_PART = 4


@dataclass
class TokenData:
    """batches: tokens (batch × tokens, int64). sequences, of `length` tokens each, may be fewer than `wanted`."""

    batches: list[Tensor]
    sequences: int
    wanted: int
    length: int
    tokens: int
    sha256: str

    @property
    def short(self) -> bool:
        return self.sequences < self.wanted


_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")


def has_tokenizer(checkpoint: Path) -> bool:
    """Whether the folder has any file that transformers could make a tokenizer of."""
    return any((checkpoint / name).exists() for name in _TOKENIZERS)


def load_tokenizer(checkpoint: Path) -> Any:
    """transformers' tokenizer of the checkpoint folder; code in the folder is never executed. Raises QuantError(code="tokenizer")."""
    from transformers import AutoTokenizer

    if not has_tokenizer(checkpoint):
        raise QuantError(f'"{checkpoint}" has no tokenizer', code="tokenizer", advice=ADVICE["tokenizer"], key=("model",))
    try:
        return AutoTokenizer.from_pretrained(str(checkpoint), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        message = f'the tokenizer in "{checkpoint}" cannot be loaded: {str(error).splitlines()[0] if str(error) else type(error).__name__}'
        raise QuantError(message, code="tokenizer", advice=ADVICE["tokenizer"], key=("model",)) from error


def calibration_tokens(
    tokenizer: Any, path: Path, samples: int, length: int, seed: int, held_out: Path | None = None
) -> TokenData:
    """`samples` sequences of `length` tokens, drawn by `seed`. held_out: file of the evaluation, kept apart when it is the same one.

    Raises QuantError(code="data-empty") and those of `documents`.
    """
    texts = list(documents(path))
    if held_out is not None and held_out == path:
        texts = split(texts)[0]
    order = random.Random(seed)
    if len(texts) > 1:
        order.shuffle(texts)
        windows = _windows(tokenizer, texts, length, samples)
    else:
        windows = _windows(tokenizer, texts, length)
        windows = order.sample(windows, min(samples, len(windows)))
    return _data(windows, samples, path, ("calibration", "data"))


def held_out_tokens(
    tokenizer: Any, path: Path, samples: int, length: int, calibration: Path | None = None
) -> TokenData:
    """`samples` sequences of `length` tokens, spread evenly over the file. calibration: file of the calibration, kept apart.

    Raises QuantError(code="data-empty"), ("data-short") when the text gives fewer than two sequences, and those of `documents`.
    """
    texts = list(documents(path))
    if calibration is not None and calibration == path:
        texts = split(texts)[1]
    windows = _windows(tokenizer, texts, length)
    count = min(samples, len(windows))
    data = _data(
        [windows[index * len(windows) // count] for index in range(count)], samples, path, ("evaluate", "data")
    )
    if data.sequences < 2:
        message = f'"{path}" has only {data.tokens} tokens: fewer than two sequences of {length}, so no standard error can be given'
        advice = "Use more text or a smaller sequence_length."
        raise QuantError(message, code="data-short", advice=advice, key=("evaluate", "data"))
    return data


def split(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """One file for two purposes: (calibration, held-out), three quarters and one quarter, without overlap."""
    if len(texts) >= _PART:
        held_out = [text for index, text in enumerate(texts) if index % _PART == _PART - 1]
        return [text for index, text in enumerate(texts) if index % _PART != _PART - 1], held_out
    whole = "\n\n".join(texts)
    cut = whole.find("\n", len(whole) * (_PART - 1) // _PART)
    cut = cut if cut > 0 else len(whole) * (_PART - 1) // _PART
    return [whole[:cut]], [whole[cut:]]


def _stream(tokenizer: Any, texts: Iterable[str], enough: int | None = None) -> list[int]:
    stream: list[int] = []
    for text in texts:
        if stream and tokenizer.eos_token_id is not None:
            stream.append(tokenizer.eos_token_id)
        stream += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if enough is not None and len(stream) >= enough:
            break
    return stream


def _windows(tokenizer: Any, texts: Iterable[str], length: int, enough: int | None = None) -> list[list[int]]:
    """Whole sequences, at most `enough`; all there is as one sequence when that is less than one, but not less than two tokens."""
    first = _first_tokens(tokenizer)
    own = max(1, length - len(first))
    stream = _stream(tokenizer, texts, None if enough is None else enough * own)
    if 2 <= len(stream) < own:
        return [first + stream]
    return [first + stream[start : start + own] for start in range(0, len(stream) - own + 1, own)][:enough]


def _first_tokens(tokenizer: Any) -> list[int]:
    """The beginning-of-sequence token, when the tokenizer itself puts it before a text."""
    begin = tokenizer.bos_token_id
    return [begin] if begin is not None and tokenizer("a", verbose=False)["input_ids"][:1] == [begin] else []


def _data(windows: list[list[int]], wanted: int, path: Path, key: tuple[str, ...]) -> TokenData:
    import torch

    if not windows:
        raise QuantError(f'"{path}" has fewer than two tokens', code="data-empty", advice="Give a file with more text.", key=key)
    length = len(windows[0])
    tokens = torch.tensor(windows, dtype=torch.int64)
    batches = list(tokens.split(max(1, BATCH_TOKENS // length)))
    digest = hashlib.sha256(f"{list(tokens.shape)}".encode() + tokens.numpy().tobytes()).hexdigest()
    return TokenData(batches, len(windows), wanted, length, tokens.numel(), digest)
