"""Chat templates of the kinds that published models come with, written anew over tinychat's marks."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.fakes.model_dir import TINYCHAT

STRICT = Path(__file__).parent / "strict.jinja"
"""One system message, at the front; user and assistant take turns; efforts low, medium and xhigh."""


def tinychat_with(template: Path, folder: Path, name: str) -> Path:
    """``folder/name``: tinychat's weights with another chat template, to be a model's ``source``."""
    made = folder / name
    shutil.copytree(TINYCHAT, made)
    shutil.copy(template, made / "chat_template.jinja")
    return made
