from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from quant_engine.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random bfloat16 Llama; tests must not write into it."""
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def llama(llama_folder: Path) -> Checkpoint:
    return Checkpoint.open(llama_folder)
