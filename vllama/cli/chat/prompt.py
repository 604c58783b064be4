"""Reads what a person types: line editing with a history, and messages of several lines between triple quotes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vllama import files
from vllama.cli import output
from vllama.config.environment import shell

QUOTES: Final = '"""'
_HISTORY_LINES: Final = 1000
_OPENERS: Final = ("", "/set system ")
"""What may stand before the opening quotes."""


class Prompt:
    """Lines from the terminal. Raises EOFError at Ctrl-D and KeyboardInterrupt at Ctrl-C."""

    def __init__(self, *, keep_history: bool = True) -> None:
        self._history: Path | None = None
        try:
            import readline  # noqa: PLC0415  (a Python may be built without it)
        except ImportError:
            return
        readline.set_history_length(_HISTORY_LINES)
        if keep_history and not shell().no_history:
            self._history = shell().state_dir / "vllama" / "history"
            with contextlib.suppress(OSError):  # none yet, or not readable: then without
                readline.read_history_file(self._history)

    def read(self) -> str:
        """The next message, without the quotes around it and white space at its ends.

        What was typed is kept at once: the terminal may be closed at any time.
        """
        try:
            return read_message(input).strip()
        finally:
            self._keep()

    def _keep(self) -> None:
        """Write the history; only its owner may read it."""
        if self._history is None:
            return
        import readline  # noqa: PLC0415

        try:
            with tempfile.TemporaryDirectory() as folder:
                readline.write_history_file(place := Path(folder) / "history")
                files.replace(self._history, place.read_bytes(), mode=0o600)
        except OSError as error:
            output.warning(f"the history was not saved: {error}")
            self._history = None


def read_message(read_line: Callable[[str], str]) -> str:
    """Join the lines between triple quotes, which begin a line (or follow ``/set system``) and end one.

    ``read_line`` gets the prompt to show.
    """
    line = read_line(">>> ")
    for opener in _OPENERS:
        if line.startswith(opener + QUOTES):
            body = line[len(opener) + len(QUOTES) :]
            lines = [body]
            while not lines[-1].rstrip().endswith(QUOTES):
                lines.append(read_line("... "))
            lines[-1] = lines[-1].rstrip()[: -len(QUOTES)]
            return opener + "\n".join(lines)
    return line
