"""Long work on a terminal: a bar that moves, a line that says what goes on, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable

from tests.component.cli.terminal import Terminal

WORK = """
from vllama.cli.progress import progress
with progress() as show:
    bar = show.bar("torch [cpu]", total=181_000_000, unit="bytes")
    show.status("installing [bold]things")
    bar.update(90_000_000, note="20 MB/s")
    input()
    show.say("installed torch")
    show.say("curl " + 200 * "x")
    bar.finish()
print("done")
"""


def test_a_bar_moves_on_a_terminal(environment: dict[str, str], terminal: Callable[..., Terminal]) -> None:
    screen = Terminal(["-c", WORK], environment)
    screen.see("torch [cpu]")
    screen.see("90 MB of 181 MB")
    screen.see("20 MB/s")
    screen.see("installing [bold]things")
    screen.type("\n")
    screen.see("installed torch")
    screen.see("curl " + 200 * "x")  # not broken at the edge: it is there to be copied
    screen.see("181 MB of 181 MB")
    screen.see("done")
    assert screen.leave() == 0
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l"), "the cursor is hidden"


REST = """
from vllama.cli.progress import progress
with progress() as show:
    show.status("loading")
    show.status("")
    show.say("ready")
    input()
"""


def test_a_terminal_is_left_alone_while_nothing_goes_on(environment: dict[str, str]) -> None:
    """A line that is drawn again and again undoes what a person selects to copy."""
    screen = Terminal(["-c", REST], environment)
    screen.see("ready")
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l"), "something is still drawn"
    screen.type("\n")
    assert screen.leave() == 0


LOGGED = """
import logging
from vllama.cli.progress import progress
from vllama.observe import logs
logs.set_up("info")
with progress() as show:
    show.status("finishing its answers")
    input()
    logging.getLogger("vllama").warning("stopping at once")
    input()
"""


def test_a_log_line_stands_above_the_spinner(environment: dict[str, str]) -> None:
    screen = Terminal(["-c", LOGGED], environment)
    screen.see("finishing its answers")
    screen.type("\n")
    screen.see("stopping at once")
    screen.type("\n")
    assert screen.leave() == 0
    before = screen.raw[: screen.raw.index("WARNING")]
    assert "finishing" not in before[before.rindex("\x1b[2K") :], "it is glued to the spinner's line"
