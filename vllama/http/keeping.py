"""Decides how long a client may keep a model loaded, and whether it may unload it.

Ollama does what any client says. Here a client that may not manage models can neither keep one for ever nor unload what
the administrator keeps. Its wish is shortened, not refused, and the header ``X-Vllama-Keep-Alive`` says what it got.
"""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from vllama.errors import Forbidden
from vllama.http.front import Front, front_of
from vllama.http.visit import visit_of
from vllama.models.model import Model
from vllama.models.names import parse_name

HEADER: Final = "X-Vllama-Keep-Alive"


async def granted(request: web.Request, model: Model, asked: float | None) -> float | None:
    """The ``keep_alive`` for a lease, in seconds; None leaves it as it is."""
    visit = visit_of(request)
    if asked is None or await visit.may_manage():
        return asked
    front = front_of(request)
    if is_kept(front, model):
        visit.headers[HEADER] = "unchanged"
        return None
    given = min(asked, front.config.keep_alive_max)
    if given != asked:
        visit.headers[HEADER] = f"{math.ceil(given)}s"
    return given


async def check_unload(request: web.Request, model: Model) -> None:
    """Raises Forbidden where the administrator keeps the model and the client may not manage any."""
    if is_kept(front_of(request), model) and not await visit_of(request).may_manage():
        raise Forbidden(
            f"{model.name.short} stays loaded: the server's configuration keeps it",
            hint="A client that may manage models can unload it; see server.management and API keys.",
        )


def is_kept(front: Front, model: Model) -> bool:
    """Does the administrator keep the model's engine: pinned, preloaded, for ever, or named on the command line?

    Several names may share one engine.
    """
    key = model.engine_key
    if any(view.model.pinned for view in front.engines.snapshot() if view.model.engine_key == key):
        return True
    preloaded = {name.key for text in front.config.preload if (name := parse_name(text)) is not None}
    sharing = [model, *(other for other in front.models.all() if other.engine_key == key)]
    return any(one.pinned or one.keep_alive == math.inf or one.name.key in preloaded for one in sharing)
