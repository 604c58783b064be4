"""Waits for a model to be loaded, and shows that it waits."""

from __future__ import annotations

from vllama.cli.progress import progress
from vllama.cli.remote import Remote


def load(remote: Remote, model: str, keep_alive: str = "") -> None:
    """Have ``model`` loaded, with a spinner as long as it takes; at once when it is loaded already."""
    body = {"model": model, "messages": [], "stream": False}
    if keep_alive:
        body["keep_alive"] = keep_alive
    with progress() as show:
        show.status(f"loading {model}")
        remote.post("/api/chat", body, "done", patient=True)
