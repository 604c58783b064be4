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
