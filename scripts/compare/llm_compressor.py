"""Codes and scales of the engine's methods beside llm-compressor's, on the same weights and the same statistics of the sample.

    python scripts/compare/llm_compressor.py [ENVIRONMENT]

makes a throw-away environment (or uses that Python) in which both can be imported, and prints Markdown tables. RTN, FP8 and GPTQ: shares of
equal codes over all linear layers of the blocks; AWQ: of each scale that llm-compressor folds, the largest relative difference to the
engine's scale of the same exponent, and the exponents that each side chose.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "engine"), str(ROOT / "engine" / "benches")]
SAMPLE = ROOT / "samples/checkpoints/tiny-llama-pydoc"
NEEDED = ["greenlet", "psutil", "filelock", "scipy", "typer", "rich"]
"""What the engine needs and llm-compressor may not bring."""
SAMPLES, LENGTH = 32, 256


def main() -> None:
    try:
        import llmcompressor  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        from rivals import LLM_COMPRESSOR

        python = Path(sys.argv[1]) if len(sys.argv) > 1 else LLM_COMPRESSOR.ensure(ROOT / ".bench" / LLM_COMPRESSOR.name)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDED], check=True)
        raise SystemExit(subprocess.run([str(python), __file__], check=False).returncode) from None
    from comparison import compare

    compare(SAMPLE, ROOT / "samples/calibration.jsonl", SAMPLES, LENGTH)


if __name__ == "__main__":
    main()
