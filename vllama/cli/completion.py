"""Names for the shell's completion: of models and of keys. It imports little, is quick, and prints no error."""

from __future__ import annotations

import threading
from typing import Any, Final

import click

from vllama.cli import credential
from vllama.cli.format import clean
from vllama.cli.remote import Remote
from vllama.errors import VllamaError

_SECONDS: Final = 1.0
"""How long a person waits after the Tab key for a service that does not answer."""


def models(context: click.Context, _parameter: click.Parameter, start: str) -> list[str]:
    """The service's models that begin with ``start``."""
    host = context.params.get("host") or ""
    return sorted(name for name in _served(host, context) if name.startswith(start))


def models_and_catalog(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
    """As ``models``, and the names of the catalogue."""
    from vllama.models.catalog_names import completions  # noqa: PLC0415 - reads YAML, which other verbs don't need

    return list(dict.fromkeys((*models(context, parameter, start), *completions(start))))


def _served(host: str, context: click.Context) -> list[str]:
    """The names that the service reports. It is asked in a thread: a name server may be silent for long."""
    found: list[str] = []
    asking = threading.Thread(target=_ask, args=(host, context, found), name="completion", daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return found.copy()


def _ask(host: str, context: click.Context, found: list[str]) -> None:
    try:
        remote = Remote(host, answer_seconds=_SECONDS, key=credential.sent_by(context))
        models: Any = remote.get("/api/tags", "models")["models"]
    except VllamaError:
        return
    for model in models if isinstance(models, list) else []:
        name = model.get("name") if isinstance(model, dict) else None
        if isinstance(name, str) and name == clean(name) and not name.isspace():
            found.append(name.removesuffix(":latest"))
