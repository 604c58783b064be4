"""The only room that speaks to systemd (sd_notify); silent where there is none."""

from __future__ import annotations

from collections.abc import Iterable

import sdnotify

from vllama.supervisor.port import EngineView


class Notifier:
    """READY, STATUS and STOPPING; the status is sent only when it changes."""

    def __init__(self) -> None:
        self._systemd = sdnotify.SystemdNotifier()
        self._status = ""

    def ready(self) -> None:
        """The port is bound and every preloaded model has answered or failed."""
        self._systemd.notify("READY=1")

    def stopping(self) -> None:
        """No new work is taken."""
        self._systemd.notify("STOPPING=1")

    def status(self, engines: Iterable[EngineView]) -> None:
        """One line of truth about all engines."""
        text = status_line(engines)
        if text != self._status:
            self._status = text
            self._systemd.notify(f"STATUS={text}")


def status_line(engines: Iterable[EngineView]) -> str:
    """``serving 2 models: qwen3:8b, nomic-embed; loading llama3.2:3b: loading weights 62 %``."""
    serving = [e.model.name.short for e in engines if e.phase == "ready"]
    parts = []
    if serving:
        parts.append(f"serving {len(serving)} model{'s' if len(serving) > 1 else ''}: {', '.join(serving)}")
    for engine in engines:
        name = engine.model.name.short
        if engine.phase in {"planning", "starting", "warming"}:
            parts.append(f"loading {name}: {engine.stage}")
        elif engine.phase in {"backoff", "broken"}:
            parts.append(f"{name} failed: {engine.cause}")
        elif engine.phase in {"stopping", "draining", "failing"}:
            parts.append(f"unloading {name}")
    return "; ".join(parts) or "ready, no model loaded"
