"""The only module that reads the process's environment.

``environment`` is what ``config.load`` gets. ``shell`` is what the command's small verbs (``ps``, ``list``, ``stop``)
need: they read no configuration file, so that they start quickly.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = "VLLAMA_CHECKOUT"
"""Names the checkout that the code runs from: its ``etc/vllama.yaml`` is the configuration where none is named, and its
``.vllama/`` holds the directories that are not configured. So every command there sees what `make run` sees."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A person's terminal and choices."""

    host: str
    """``VLLAMA_HOST``, else ``OLLAMA_HOST``, else empty; read it with ``config.address``."""
    strict_host: bool
    """``host`` came from ``VLLAMA_HOST``: an invalid value is reported, and not ignored as Ollama does."""
    no_color: bool
    """``NO_COLOR`` holds anything."""
    dumb_terminal: bool
    """``TERM`` is ``dumb`` or unset: no cursor movement."""
    state_dir: Path
    """``XDG_STATE_HOME``, else ``~/.local/state``."""
    no_history: bool
    """``OLLAMA_NOHISTORY``: keep no history of what was typed."""
    journal_stream: str = ""
    """``JOURNAL_STREAM``: what systemd's journal reads of us, as ``observe.logs`` understands it."""
    api_key: str = ""
    """``VLLAMA_API_KEY``: the key that the command shows to the service."""
    checkout: bool = False
    """The command runs from a checkout, where `make run` starts the service."""


def environment() -> Mapping[str, str]:
    """This process's environment as it is now, with the checkout we run from; for ``config.load`` and the engines."""
    root = Path(__file__).parents[2]
    is_checkout = all((root / file).is_file() for file in ("pyproject.toml", "Makefile", "etc/vllama.yaml"))
    return ({CHECKOUT: str(root)} if is_checkout else {}) | os.environ


@functools.cache
def shell() -> Shell:
    """Read the environment of this process."""
    env = os.environ
    state = env.get("XDG_STATE_HOME", "")
    return Shell(
        host=env.get("VLLAMA_HOST", "").strip() or env.get("OLLAMA_HOST", "").strip(),
        strict_host=bool(env.get("VLLAMA_HOST", "").strip()),
        no_color=bool(env.get("NO_COLOR")),
        dumb_terminal=env.get("TERM", "dumb") == "dumb",
        state_dir=Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state",
        no_history=_truth(env.get("OLLAMA_NOHISTORY", "")),
        journal_stream=env.get("JOURNAL_STREAM", ""),
        api_key="".join(env.get("VLLAMA_API_KEY", "").split()),
        checkout=bool(environment().get(CHECKOUT)),
    )


def _truth(text: str) -> bool:
    """Ollama's reading of booleans: what can't be parsed is true (``BoolWithDefault`` in its envconfig/config.go)."""
    return text.strip(" \t\"'").lower() not in {"", "0", "f", "false"}
