"""What changes in the service, as frozen values: published once on the feed, read by many. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from vllama.errors import VllamaError
from vllama.models.model import Model


class EngineSeen(Protocol):
    """What readers see of ``supervisor.port.EngineView``."""

    @property
    def model(self) -> Model:
        """Whose engine."""
        ...

    @property
    def phase(self) -> str:
        """One of ``supervisor.states.Phase``."""
        ...

    @property
    def stage(self) -> str:
        """Progress in people's words while not ready."""
        ...

    @property
    def since(self) -> float:
        """Unix seconds of the last phase change."""
        ...

    @property
    def leases(self) -> int:
        """Requests that use it."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that wait for it."""
        ...

    @property
    def code_from(self) -> str:
        """How it got its compiled code; empty where nothing is compiled."""
        ...

    @property
    def pid(self) -> int | None:
        """Of its main process, whose session holds all its processes."""
        ...

    @property
    def gpus(self) -> tuple[int, ...]:
        """Numbers of the GPUs it lives on; empty without one."""
        ...

    @property
    def restarts(self) -> int:
        """Unexpected exits."""
        ...

    @property
    def size(self) -> int:
        """Planned bytes."""
        ...

    @property
    def code(self) -> str:
        """How its compiled code is, where it misses any."""
        ...

    @property
    def cause(self) -> str:
        """Why it failed, with what to do; empty when it did not."""
        ...


@dataclass(frozen=True, slots=True)
class Listens:
    """The service takes connections at this address."""

    host: str
    port: int
    topic: ClassVar = "address"
    over: ClassVar = False


@dataclass(frozen=True, slots=True)
class EngineChanged:
    """An engine's phase or stage changed. Its numbers are those of that moment."""

    engine: EngineSeen

    @property
    def topic(self) -> str:
        """One for each engine."""
        return f"engine {self.engine.model.engine_key}"

    @property
    def over(self) -> bool:
        """It is unloaded."""
        return self.engine.phase == "absent"


@dataclass(frozen=True, slots=True)
class Preloaded:
    """A model that is loaded without a request is ready, or failed with this error."""

    model: Model
    error: VllamaError | None
    topic: ClassVar = "preload"
    over: ClassVar = True


@dataclass(frozen=True, slots=True)
class Notice:
    """What an administrator must do something about, in one sentence; an empty ``text`` takes it back."""

    about: str
    text: str

    @property
    def topic(self) -> str:
        """One for each matter."""
        return f"notice {self.about}"

    @property
    def over(self) -> bool:
        """Nothing is left to do."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Ready:
    """The start or a reload is done: every preloaded model has answered or failed."""

    topic: ClassVar = "service"
    over: ClassVar = False


@dataclass(frozen=True, slots=True)
class Reloading:
    """The configuration is being read again; ``Ready`` follows in any case."""

    topic: ClassVar = "service"
    over: ClassVar = False


@dataclass(frozen=True, slots=True)
class Stopping:
    """No new work is taken. Running answers and the engines' end take at most ``seconds``."""

    seconds: float
    topic: ClassVar = "service"
    over: ClassVar = False


News: TypeAlias = Listens | EngineChanged | Preloaded | Notice | Ready | Reloading | Stopping
"""``topic``: what it is about; newer news of a topic replace older ones. ``over``: nothing of the topic is left."""
