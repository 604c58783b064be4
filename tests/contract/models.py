"""The three models that the recorded Ollama served: one chat model in two dresses, and an embedder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.contract.replay import GOLDEN
from tests.embedding_model import embedding_model_dir
from tests.fakes.model_dir import TINYCHAT


def three_models(folder: Path) -> dict[str, Any]:
    """``models`` of a configuration: tinychat, plainchat (the same weights, no tools, no thinking), minilm."""
    plain = folder / "plainchat"
    if not plain.exists():
        shutil.copytree(TINYCHAT, plain)
        shutil.copy(GOLDEN / "plainchat.jinja", plain / "chat_template.jinja")
    return {
        "tinychat": {"source": "builtin:tinychat"},
        # its Modelfile named one of the two marks that its template has
        "plainchat": {"source": str(plain), "parameters": {"stop": ["<|im_end|>"]}},
        "minilm": {"source": str(embedding_model_dir())},
    }
