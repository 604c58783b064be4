"""What ``vllama serve`` tells at a terminal."""

from __future__ import annotations

from typing import Any

from tests.unit.supervisor.worlds import model
from vllama.cli.serve import _Terminal
from vllama.supervisor.port import EngineView, Phase


class Shown:
    """A terminal's last line and what was said above it."""

    def __init__(self) -> None:
        self.line = ""
        self.said: list[str] = []

    def status(self, text: str) -> None:
        self.line = text

    def say(self, text: str) -> None:
        self.said.append(text)


def view(name: str, phase: Phase, stage: str = "", cause: str = "") -> EngineView:
    numbers: dict[str, Any] = dict.fromkeys(("since", "leases", "waiting", "size", "size_vram", "context_length"), 0)
    return EngineView(
        model(name), phase, stage, expires_at=None, kv_tokens=0, pid=None, restarts=0, cause=cause, **numbers
    )


def test_each_engine_that_starts_is_shown_until_it_is_ready_or_has_failed():
    shown = Shown()
    terminal = _Terminal(shown, ())
    terminal.changed(view("mini", "starting", "loading weights"))
    terminal.changed(view("other", "planning", "planning"))
    terminal.changed(view("mini", "warming", "first token"))
    assert shown.line == "mini:latest: first token; other:latest: planning"
    terminal.changed(view("mini", "ready"))
    assert shown.line == "other:latest: planning"
    terminal.changed(view("other", "broken", cause="no such flag"))
    assert (shown.line, shown.said) == ("", ["other:latest: no such flag"])
