from __future__ import annotations

from pathlib import Path

import pytest

from quant_engine.linalg.threads import spin_briefly

spin_briefly()  # as the command does; before torch is imported

import tiny  # noqa: E402
from quant_engine.checkpoint import Checkpoint  # noqa: E402


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random bfloat16 Llama; tests must not write into it."""
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def llama(llama_folder: Path) -> Checkpoint:
    return Checkpoint.open(llama_folder)
