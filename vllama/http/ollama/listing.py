"""Lists and describes the models: tags, ps, show."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from aiohttp import web

from vllama.disk import Reads
from vllama.errors import BadRequest, ModelUnusable
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, get_model, read_name
from vllama.http.plain_json import json_response
from vllama.jsontext import encode
from vllama.models import listing
from vllama.models.files import read_files
from vllama.models.model import Model
from vllama.models.safetensors import Tensor
from vllama.supervisor.port import EngineView
from vllama.translate.ollama.requests import ShowRequest

_LOADED = frozenset({"ready", "draining"})
_READS: Final = Reads()
_PATIENCE: Final = 10.0
_COPILOT = "GitHubCopilotChat/"


def _offset() -> int:
    """Seconds of local time east of UTC."""
    return time.localtime().tm_gmtoff


async def tags(request: web.Request) -> web.Response:
    """All models, newest first."""
    models = sorted(front_of(request).models.all(), key=lambda model: -model.modified_at)
    return json_response(encode({"models": [listing.tag(model, _offset()) for model in models]}))


async def ps(request: web.Request) -> web.Response:
    """Loaded models, the one that stays longest first."""
    now = time.time()
    views = [view for view in front_of(request).engines.snapshot() if view.phase in _LOADED]
    views.sort(key=lambda view: -int(min(_expiry(view, now) - now, 1e12)))
    listed = [
        listing.loaded(
            view.model,
            size=view.size,
            size_vram=view.size_vram,
            expires_at=_expiry(view, now),
            context_length=view.context_length,
            now=now,
            offset=_offset(),
        )
        for view in views
    ]
    return json_response(encode({"models": listed}))


def _expiry(view: EngineView, now: float) -> float:
    return now if view.expires_at is None else view.expires_at


async def show(request: web.Request) -> web.Response:
    """All there is to know of one model."""
    asked = await read_body(request, ShowRequest)
    if not asked.typed:
        raise BadRequest("model is required")
    name = read_name(asked.typed, no_cloud="ollama cloud is disabled: remote model details are unavailable")
    model = get_model(front_of(request), name, QUOTED.format(name.short))
    basename = asked.typed if request.headers.get("User-Agent", "").startswith(_COPILOT) else ""
    tensors = await _tensors(model) if asked.verbose else ()
    shown = listing.shown(
        model,
        _offset(),
        system=asked.system,
        options=asked.options,
        verbose=asked.verbose,
        basename=basename,
        tensors=tensors,
    )
    return json_response(encode(shown))


async def _tensors(model: Model) -> tuple[Tensor, ...]:
    """Those of the weights; raises ModelUnusable."""
    try:
        return (await _READS.done(model.path, partial(read_files, model.path), _PATIENCE)).tensors
    except TimeoutError:
        raise ModelUnusable("the model's files can't be read at the moment: the file system does not answer") from None
