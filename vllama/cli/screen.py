"""A view that fills the terminal and is drawn anew each second, until somebody presses q."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Broken, Refused, Unreachable
from vllama.config.environment import shell
from vllama.errors import BadRequest

_EVERY: Final = 1.0
_QUIT: Final = ("q", "Q", "\x03", "\x04", "")
"""Also Ctrl-C, Ctrl-D and a terminal that has gone."""


def follow(lines: Callable[[], Sequence[str]], *, instead: str) -> None:
    """Show these lines, the first one bold. ``instead``: what to do without a terminal.

    A service that does not answer for a while is waited for. Raises what the first call raises, and BadRequest where
    there is no terminal.
    """
    if not (output.is_terminal() and sys.stdin.isatty()):
        raise BadRequest("this view needs a terminal", hint=instead)
    # rich is slow to import: only views that need it pay for it
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = lines()
    console = Console(no_color=shell().no_color, highlight=False)
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            text = Text("\n".join(map(fmt.clean, shown)), no_wrap=True, overflow="ellipsis")
            text.stylize("bold", 0, len(shown[0]))
            live.update(text, refresh=True)
            if pressed(_EVERY):
                return
            try:
                shown = lines()
            except (Unreachable, Refused, Broken) as error:
                shown = [f"{error.message} (trying again; q quits)"]


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds and returns whether somebody wants to quit."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)

    def pressed(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
            if os.read(terminal, 1).decode("ascii", "replace") in _QUIT:
                return True
        return False

    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
