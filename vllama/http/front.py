"""What every handler may use: one value, made by ``http.app``, read from the request's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from vllama.answering.desk import Desk
from vllama.aside.port import Aside
from vllama.config.schema import Config
from vllama.errors import VllamaError
from vllama.http.intake import Intake
from vllama.models.create import Creator
from vllama.models.model import Model
from vllama.models.names import ModelName
from vllama.models.pull import Puller
from vllama.observe.metrics import Meter, Metrics
from vllama.supervisor.port import Engines


class Models(Protocol):
    """Which models there are; ``models.store.ModelStore`` in the daemon."""

    def find(self, name: ModelName) -> Model | None:
        """The model of that name, any case; None when it isn't there."""
        ...

    def all(self) -> tuple[Model, ...]:
        """All usable models, newest first."""
        ...

    def problem(self, name: ModelName) -> VllamaError | None:
        """Why a model that should be there can't be used."""
        ...

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """Give a model a second name. Writes files: call it in a thread. Raises NotFound, BadRequest, StoreFailed."""
        ...

    def remove(self, name: ModelName) -> bool:
        """Delete a model; false when there is none of that name. As ``copy``."""
        ...


@dataclass(frozen=True, slots=True)
class Front:
    """The front end's share of the house."""

    config: Config
    engines: Engines
    models: Models
    puller: Puller
    creator: Creator
    metrics: Metrics
    aside: Aside
    """Where what may take long is done."""
    version: str
    """What ``/api/version`` says: clients compare it with the Ollama version that brought a feature."""
    intake: Intake


async def _nobody() -> bool:
    return False


@dataclass(slots=True)
class Visit:
    """One request on its way through the house; made by ``middleware`` before any handler runs."""

    request_id: str
    meter: Meter
    client: str = ""
    """Who asks, as far as that is known: the peer's address."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers that go onto the answer, whatever it will be."""
    body: bytes = b""
    """What was sent, where it is short: an error quotes it."""
    may_manage: Callable[[], Awaitable[bool]] = _nobody
    """Whether the client may change what models there are, and how long they stay loaded; set by ``permits``."""


FRONT: Final = web.AppKey("front", Front)
# not kept in the request's own storage: its typed keys came only with newer versions of aiohttp
VISIT: Final[ContextVar[Visit]] = ContextVar("visit")


def front_of(request: web.Request) -> Front:
    """The application's ``Front``."""
    return request.app[FRONT]


def meter_of(_: web.Request) -> Meter:
    """This request's measurements."""
    return VISIT.get().meter


def desk_of(request: web.Request) -> Desk:
    """What answering this request takes."""
    front = front_of(request)
    return Desk(front.engines, front.aside, meter_of(request), VISIT.get().client)
