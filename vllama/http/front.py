"""The one value with everything that handlers use; ``http.app`` makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from aiohttp import web

from vllama.answering.desk import Desk
from vllama.aside.port import Aside
from vllama.config.schema import Config
from vllama.download.puller import Puller
from vllama.errors import VllamaError
from vllama.http.intake import Intake
from vllama.http.visit import visit_of
from vllama.models.create import Creator
from vllama.models.model import Model
from vllama.models.names import ModelName
from vllama.observe.books import Books
from vllama.observe.lookout import Lookout
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


class Forecast(Protocol):
    """``fit.forecast.Forecast``."""

    def shown(self) -> dict[str, Any]:
        """As ``GET /vllama/plan`` sends it."""
        ...


class Forecaster(Protocol):
    """Whether models would fit; ``service.forecasts.Forecasts`` in the daemon."""

    async def of(self, name: ModelName) -> Forecast:
        """Of a model that is here or could be pulled. Raises NotFound, PullFailed, ModelUnusable."""
        ...


class Found(Protocol):
    """What one check found; its texts may hold paths of this machine."""

    @property
    def name(self) -> str:
        """What was checked."""
        ...

    @property
    def state(self) -> Literal["good", "warning", "bad"]:
        """``bad``: it keeps models from being served."""
        ...

    @property
    def text(self) -> str:
        """What was found."""
        ...

    @property
    def fix(self) -> str:
        """What to do; empty when nothing is."""
        ...


class Checks(Protocol):
    """The doctor's checks; ``service.health.Health`` in the daemon."""

    @property
    def engine(self) -> str:
        """Version of the installed engine, as of the last look; empty where there is none."""
        ...

    async def findings(self) -> Sequence[Found]:
        """Of this machine, at most some seconds old."""
        ...


@dataclass(frozen=True, slots=True)
class Front:
    """What a front end gets from the rest of the service."""

    config: Config
    engines: Engines
    models: Models
    puller: Puller
    creator: Creator
    books: Books
    aside: Aside
    """Where what may take long is done."""
    version: str
    """What ``/api/version`` says: clients compare it with the Ollama version that brought a feature."""
    intake: Intake
    lookout: Lookout
    forecasts: Forecaster
    health: Checks


FRONT: Final = web.AppKey("front", Front)


def front_of(request: web.Request) -> Front:
    """The application's ``Front``."""
    return request.app[FRONT]


def desk_of(request: web.Request, model: Model | None = None) -> Desk:
    """What answering this request takes. From here on the request's measurements are those of ``model``."""
    front, visit = front_of(request), visit_of(request)
    if model is not None:
        visit.meter.model = model.name.short
    return Desk(front.engines, front.aside, visit.meter, visit.caller)
