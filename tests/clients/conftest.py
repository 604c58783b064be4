"""The whole service on fake engines, one for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.wording import FAKE, Wording
from tests.embedding_model import embedding_model_dir
from tests.fakes import interpreter
from tests.fakes.model_dir import TINYCHAT, with_eyes
from tests.live import LiveService


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """Where the service listens; it serves ``tinychat``, ``minilm`` and ``looker``, which takes pictures."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))  # unix sockets end at 107 bytes
    config = {
        "engine": {"python": str(interpreter.write(folder))},
        "models": {
            "tinychat": {"source": str(TINYCHAT)},
            "minilm": {"source": str(embedding_model_dir())},
            "looker": {"source": str(with_eyes(folder, "looker"))},
        },
    }
    service = LiveService(folder, config)
    service.start()
    yield service.url
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def wording() -> Wording:
    """What makes the fake engine do what a test wants."""
    return FAKE
