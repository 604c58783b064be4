"""Waits for a model to be loaded, and shows that it waits and how far the load is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from vllama.cli.format import clean
from vllama.cli.progress import Show, progress
from vllama.cli.remote import Remote
from vllama.errors import VllamaError
from vllama.models.names import parse_name

_EVERY: Final = 0.5
"""Seconds between two looks; also what a load must take before anybody looks."""
_ANSWER_SECONDS: Final = 2.0
_READY: Final = "ready"
_FAILED: Final = frozenset({"backoff", "broken"})


def load(remote: Remote, model: str, keep_alive: str = "", *, embeds: bool = False) -> None:
    """Have ``model`` loaded, with a spinner as long as it takes; at once when it is loaded already.

    ``embeds``: it makes embeddings, and can't chat.
    """
    body: dict[str, Any] = {"model": model}
    if keep_alive:
        body["keep_alive"] = keep_alive
    with waiting(remote, model):
        if embeds:
            remote.post("/api/embed", {**body, "input": []}, "embeddings", patient=True)
        else:
            remote.post("/api/chat", {**body, "messages": [], "stream": False}, "done", patient=True)


@contextmanager
def waiting(remote: Remote, model: str) -> Iterator[None]:
    """While the block waits for ``model``, show what the service reports of its load."""
    over = threading.Event()
    with progress() as show:
        show.status(f"loading {model}")
        looking = threading.Thread(target=_look, args=(remote, model, show, over), name="loading", daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()  # it must not draw after the display has ended


def stage_of(engines: Sequence[Mapping[str, Any]], model: str) -> str:
    """What the engine that ``model`` waits for is doing; empty if that is unknown.

    A model that was made of another one waits for that model's engine: the only engine with waiting requests.
    """
    name = parse_name(model)
    found = [engine for engine in engines if name is not None and engine.get("name") == name.short]
    found = found or [engine for engine in engines if engine.get("waiting")]
    if len(found) != 1 or found[0].get("phase") == _READY:
        return ""
    words = [str(found[0].get("stage", ""))]
    if found[0].get("phase") in _FAILED:
        words.append(str(found[0].get("cause", "")))
    return clean(": ".join(filter(None, words)))


def _look(remote: Remote, model: str, show: Show, over: threading.Event) -> None:
    """Runs in a thread of its own until ``over``; an Ollama doesn't know the question."""
    asked = Remote(remote.address.url, answer_seconds=_ANSWER_SECONDS, key=remote.key)
    while not over.wait(_EVERY):
        try:
            engines = asked.get("/vllama/engines", "engines")["engines"]
        except VllamaError:
            return
        stage = stage_of(engines, model)
        if not over.is_set():
            show.status(f"loading {model}: {stage}" if stage else f"loading {model}")
