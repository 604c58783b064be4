"""What every handler may use: one value, made by ``http.app``, read from the request's application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from vllama.config.schema import Config
from vllama.errors import VllamaError
from vllama.models.model import Model
from vllama.models.names import ModelName
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


@dataclass(frozen=True, slots=True)
class Front:
    """The front end's share of the house."""

    config: Config
    engines: Engines
    models: Models
    metrics: Metrics
    version: str
    """What ``/api/version`` says: clients compare it with the Ollama version that brought a feature."""


FRONT: Final = web.AppKey("front", Front)
_METER: Final = "vllama_meter"


def front_of(request: web.Request) -> Front:
    """The application's ``Front``."""
    return request.app[FRONT]


def meter_of(request: web.Request) -> Meter:
    """This request's measurements; made by ``middleware`` before any handler runs."""
    meter: Meter = request[_METER]
    return meter


def set_meter(request: web.Request, meter: Meter) -> None:
    """Called once, by ``middleware``."""
    request[_METER] = meter
