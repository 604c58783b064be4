"""Shows the progress of long work on stderr: bars and spinners on a terminal, a plain line now and then elsewhere.

with progress() as show:
    show.status("resolving")
    bar = show.bar("torch", total=181_000_000, unit="bytes")
    bar.update(1_000_000)
    show.say("installed torch")
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, Protocol

from vllama.cli import output
from vllama.sizes import human_bytes

if TYPE_CHECKING:
    from rich.progress import Progress

Unit = Literal["bytes", "items", "percent"]
_PLAIN_EVERY: Final = 5.0
"""Seconds between two lines of the same bar where nothing can move."""


class Bar(Protocol):
    """One thing that fills up."""

    def update(self, completed: float, *, total: float | None = None, note: str = "") -> None:
        """Set how much is done (in the bar's unit), and the total once it is known."""
        ...

    def finish(self) -> None:
        """Full; stays on the screen."""
        ...


class Show(Protocol):
    """Where a long piece of work shows its progress."""

    def status(self, text: str) -> None:
        """The current step, next to a spinner; replaces the last one. Empty: shows nothing."""
        ...

    def bar(self, label: str, *, total: float | None = None, unit: Unit = "percent") -> Bar:
        """A new bar; without a total it shows only that something moves."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Show]:
    """Show long work until the block ends, also when it ends by an error. ``quiet`` shows nothing (``--json``)."""
    if quiet:
        yield _Quiet()
    elif output.is_terminal(sys.stderr):
        live = _Live()
        try:
            yield live
        finally:
            live.close()
    else:
        yield _Plain()


class _Quiet:
    """Says nothing."""

    def status(self, text: str) -> None:
        """Nothing."""

    def bar(self, label: str, *, total: float | None = None, unit: Unit = "percent") -> Bar:
        return _QuietBar()

    def say(self, text: str) -> None:
        """Nothing."""


class _QuietBar:
    """Says nothing."""

    def update(self, completed: float, *, total: float | None = None, note: str = "") -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class _Plain:
    """Lines for a pipe, a log or a dumb terminal."""

    def __init__(self) -> None:
        self._status = ""

    def status(self, text: str) -> None:
        if text and text != self._status:
            output.note(text)
        self._status = text

    def bar(self, label: str, *, total: float | None = None, unit: Unit = "percent") -> Bar:
        return _PlainBar(label, total, unit)

    def say(self, text: str) -> None:
        output.note(text)


class _PlainBar:
    def __init__(self, label: str, total: float | None, unit: Unit) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._said = ""
        self._at = -_PLAIN_EVERY
        self._done = 0.0

    def update(self, completed: float, *, total: float | None = None, note: str = "") -> None:
        self._done = completed
        self._total = self._total if total is None else total
        now = time.monotonic()
        if now - self._at >= _PLAIN_EVERY:
            self._at = now
            self._say(note)

    def finish(self) -> None:
        self._done = self._done if self._total is None else self._total
        self._say("")

    def _say(self, note: str) -> None:
        text = " ".join(filter(None, (f"{self._label}:", _amount(self._done, self._total, self._unit), note)))
        if text != self._said:
            output.note(text)
        self._said = text


class _Live:
    """Bars that move above a line that says what goes on, drawn by rich."""

    def __init__(self) -> None:
        # rich is slow to import: only commands that show a bar pay for it
        from rich.console import Console, Group  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(stderr=True, no_color=not output.can_colour(sys.stderr), highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=console,
        )
        self._text = Text
        self._spinner = Spinner("dots")
        self._with_status = Group(self._bars, self._spinner)
        self._live = Live(self._bars, console=console, refresh_per_second=12)

    def status(self, text: str) -> None:
        # a Text, because a plain string would be read as markup
        self._spinner.update(text=self._text(text))
        self._live.update(self._with_status if text else self._bars)
        if text:
            self._live.start()
        elif not self._bars.tasks:  # drawing nothing again and again would undo what a person selects to copy
            self._live.stop()

    def bar(self, label: str, *, total: float | None = None, unit: Unit = "percent") -> Bar:
        self._live.start()
        return _LiveBar(self._bars, label, total, unit)

    def say(self, text: str) -> None:
        # soft_wrap: a command that is to be copied must stay one line
        self._live.console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._live.update(self._bars)
        self._live.stop()


class _LiveBar:
    def __init__(self, progress: Progress, label: str, total: float | None, unit: Unit) -> None:
        self._progress, self._unit, self._total = progress, unit, total
        self._done = 0.0
        self._task = progress.add_task(label, total=total, amount=_amount(0, total, unit), note="")

    def update(self, completed: float, *, total: float | None = None, note: str = "") -> None:
        self._done = completed
        self._total = self._total if total is None else total
        amount = _amount(completed, self._total, self._unit)
        self._progress.update(self._task, completed=completed, total=self._total, amount=amount, note=note)

    def finish(self) -> None:
        self._total = self._done if self._total is None else self._total
        self.update(self._total)


def _amount(done: float, total: float | None, unit: Unit) -> str:
    """``62 %``, ``1.2 GB of 3.4 GB`` or ``12 of 80``; without a total only what is done."""
    if unit == "percent":
        return f"{int(done / total * 100)} %" if total else ""
    shown = human_bytes(int(done)) if unit == "bytes" else str(int(done))
    if total is None:
        return shown
    return f"{shown} of {human_bytes(int(total)) if unit == 'bytes' else int(total)}"
