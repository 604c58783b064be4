"""Model directories for fake engines: the real files of tinychat, and a script beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import vllama.models

TINYCHAT = Path(vllama.models.__file__).parent / "builtin" / "tinychat"


def scripted(folder: Path, name: str, **script: Any) -> Path:
    """``folder/name``: tinychat's files, with ``fake.json`` to tell its engine how to behave."""
    made = folder / name
    made.mkdir()
    for file in TINYCHAT.iterdir():
        (made / file.name).symlink_to(file)
    rescript(made, **script)
    return made


def with_eyes(folder: Path, name: str) -> Path:
    """``folder/name``: tinychat's files, whose config.json says that the model takes pictures."""
    made = scripted(folder, name)
    config = json.loads((made / "config.json").read_text()) | {"vision_config": {"hidden_size": 16}}
    (made / "config.json").unlink()
    (made / "config.json").write_text(json.dumps(config))
    return made


def rescript(model: Path, **script: Any) -> None:
    """What the model's next engine does."""
    (model / "fake.json").write_text(json.dumps(script))
