"""What the engine is compared with: each in a throw-away environment, because their pins differ from the engine's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from measured_process import Measured, run

HERE = Path(__file__).resolve().parent
_ENVIRONMENT = {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "GPTQMODEL_CPU_WORKERS": "2"}


@dataclass(frozen=True)
class Rival:
    """pins: what is installed, torch first. built: whether its package is built with the torch that is there already. settings: its own
    environment variables."""

    name: str
    script: str
    pins: tuple[str, ...]
    built: bool = False
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> str:
        """Folder of what is installed: that of the distribution, whatever its settings are."""
        return self.name.partition("-8-")[0]

    def ensure(self, folder: Path) -> Path:
        """Create the environment once; returns its Python."""
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        stamp = folder / "pins.txt"
        if stamp.is_file() and stamp.read_text() == "\n".join(self.pins):
            return python
        print(f"creating a throw-away environment with {', '.join(self.pins)} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        if self.built:
            subprocess.run([*install, self.pins[0], "setuptools", "wheel", "packaging", "ninja", "numpy"], check=True)
            install.append("--no-build-isolation")
        subprocess.run([*install, *self.pins], check=True)
        stamp.write_text("\n".join(self.pins))
        return python

    def run(self, python: Path, *arguments: object, log: Path) -> Measured:
        """In the log's folder, because some of them leave files where they are started."""
        absolute = [str(one.resolve()) if isinstance(one, Path) else str(one) for one in arguments]
        return run([str(python.absolute()), str(HERE / self.script), *absolute], log, _ENVIRONMENT | dict(self.settings), log.parent)

    def quantize(self, python: Path, checkpoint: Path, work: Path, tokens: Path, method: str) -> tuple[Measured, dict[str, float]]:
        """With the seconds of its steps; the output is in `work` under the rival's name."""
        output = work / self.name
        shutil.rmtree(output, ignore_errors=True)
        measured = self.run(python, checkpoint, tokens, output, method, log=work / f"{self.name}.log")
        return measured, json.loads(measured.output.splitlines()[-1])


LLM_COMPRESSOR = Rival(
    "llm-compressor",
    "llm_compressor_rival.py",
    ("torch==2.13.0", "llmcompressor==0.14.0.1", "transformers==5.17.0", "compressed-tensors==0.19.0"),
)
GPTQMODEL = Rival("GPTQModel", "gptqmodel_rival.py", ("torch==2.13.0", "gptqmodel==7.6.0"), built=True)
"""The last release for this torch."""
GPTQMODEL_BATCHES = replace(GPTQMODEL, name="GPTQModel-8-at-once", settings=(("BATCH_SIZE", "8"),))
"""Faster than its default of one sequence; llm-compressor's default, one too, is its fastest."""
MODELOPT = Rival(
    "ModelOpt", "modelopt_rival.py", ("torch==2.13.0", "nvidia-modelopt==0.47.0", "transformers==5.17.0", "requests")
)
"""requests is imported by ModelOpt and not among what it installs."""
