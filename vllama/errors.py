"""The one exception tree of vLLama.

Each leaf has a stable ``code`` (for programs and metrics), an HTTP ``status``, a ``message`` in the words a
user reads (Ollama's words where Ollama has words) and a ``hint``: what to do about it.

Every error has two readers. A client reads ``message`` and ``hint``, and neither ever holds a path of the server's
disk: the constructor takes it out. The log, and the command on the server itself, show ``detail`` and ``advice``, where
the path is.

Foreign exceptions become one of these at exactly one border each: ``engine.client`` (sockets),
``download.border`` (huggingface_hub), ``config.load`` (yaml, pydantic).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath, PurePosixPath
from typing import ClassVar, Final

from vllama.redaction import without_passwords

_PART: Final = r"""[^\s/'"`,;()\[\]{}<>|:]"""
_PATH: Final = re.compile(
    # Not a URL, not "and/or", not "</think>", and not one of our own routes.
    rf"""(?<![\w./<])(?:file://)?/(?!/)(?!(?:api|v1)/)(?:
        (?:{_PART}+/)+{_PART}*
        | (?:bin|boot|data|dev|etc|home|lib64|lib|media|mnt|models|opt|proc|root|run|sbin|srv|storage|sys|tmp|usr|var)\b
    )""",
    re.VERBOSE,
)


def without_paths(text: str) -> str:
    """``text`` with the last part of each absolute path in the path's place: ``/var/lib/x/config.json``, config.json.

    A path with blanks in it loses what stands before its first blank.
    """
    return _PATH.sub(lambda found: PurePosixPath(found[0]).name, text)


class VllamaError(Exception):
    """Root of everything we raise on purpose; nothing raises a bare ``Exception``."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry_after: ClassVar[int | None] = None
    """Seconds after which the same request may succeed; None: waiting alone does not help."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        advice: str = "",
        where: PurePath | str = "",
        quoted: str = "",
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        """``advice``: what to do for a person on this machine, where that is another thing than the ``hint``.

        ``where``: the place on this machine that the message is about, which only ``detail`` names.

        ``quoted``: the client's or the model's own words at the end of the message. They are kept as they are, paths
        included.
        """
        message, hint, advice = map(without_passwords, (message, hint, advice))
        super().__init__(message)
        self.message = without_paths(message) + quoted
        """For clients."""
        self.hint = without_paths(hint)
        """For clients."""
        self.where = str(where)
        self.detail = (f"{where}: {message}" if self.where else message) + quoted
        """The message for the log and for the command on this machine."""
        self.advice = advice or hint
        """The hint for the log and for the command on this machine."""
        self.http_status = self.status if status is None else status
        self.error_code = self.code if code is None else code

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about the configuration."""

    message: str
    key: str = ""
    """``server.port``; empty if it is about no key."""
    where: str = ""
    """``FILE:LINE``, ``environment NAME`` or ``flag``; empty if that is unknown."""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.key, self.message)))


class ConfigError(VllamaError):
    """The configuration is wrong; ``findings`` holds everything that is. The daemon exits with 78."""

    code = "config"

    def __init__(
        self, message: str, *, problems: Sequence[str | Problem] = (), hint: str = "", where: PurePath | str = ""
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        found = (Problem(one) if isinstance(one, str) else one for one in problems)
        self.findings = tuple(replace(one, message=without_passwords(one.message)) for one in found)
        """For the log and for the command on this machine: they name files and lines."""

    @property
    def problems(self) -> tuple[str, ...]:
        """``findings`` as sentences."""
        return tuple(map(str, self.findings))


class BadRequest(VllamaError):
    """The client's request can't be served as it is."""

    code = "bad_request"
    status = 400


class NotFound(VllamaError):
    """There is no such model, blob or route."""

    code = "not_found"
    status = 404


class Unauthorized(VllamaError):
    """An API key is needed."""

    code = "unauthorized"
    status = 401


class Forbidden(VllamaError):
    """The peer may not do this."""

    code = "forbidden"
    status = 403


class NoCloud(Forbidden):
    """The model is one of Ollama's cloud, which vLLama does not have."""

    code = "no_cloud"


class TooLarge(VllamaError):
    """The request's body is over the limit."""

    code = "too_large"
    status = 413


class SlowBody(VllamaError):
    """The request's body did not come fast enough to be waited for."""

    code = "slow_body"
    status = 408


class Busy(VllamaError):
    """The queue is full (Ollama's 503), or the service is about to stop."""

    code = "busy"
    status = 503
    retry_after = 5


class Cancelled(VllamaError):
    """Whoever manages the service has ended the request."""

    code = "cancelled"
    status = 503

    def __init__(self, message: str = "an administrator of this server has cancelled the request") -> None:
        super().__init__(message)


class ModelUnusable(VllamaError):
    """What is on disk can't be served: not a model, broken, unsupported."""

    code = "model_unusable"


class NotPulled(ModelUnusable):
    """The files of a configured model are not here yet: a pull brings them."""


class EngineError(VllamaError):
    """Root of what an engine does to us."""

    code = "engine"


class EngineRefused(EngineError):
    """vLLM answered a request with an error object; ``http_status`` and ``message`` are vLLM's own.

    No client sees that message: ``translate.engine.faults.refusal`` says it in our words.
    """

    code = "engine_refused"

    def __init__(self, message: str, *, status: int | None = None, field: str = "") -> None:
        super().__init__(message, status=status)
        self.field = field
        """What of the request was refused, where vLLM says it: ``tools.0.type``."""


class EngineGone(EngineError):
    """The engine died, hung or was stopped while it had our request."""

    code = "engine_gone"


class LoadFailed(EngineError):
    """The engine could not be started; the message is the cause found by ``engine.diagnose``."""

    code = "load_failed"


class NoRoomYet(LoadFailed):
    """It would fit if ``missing`` bytes more were free: idle engines may be unloaded for that."""

    code = "no_room"

    def __init__(self, message: str, *, missing: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.missing = missing


class EngineNotInstalled(EngineError):
    """No usable vLLM interpreter; the hint is the one command that installs it."""

    code = "engine_not_installed"
    status = 503


class InstallFailed(VllamaError):
    """``vllama engine install`` could not finish; running it again resumes."""

    code = "install_failed"


class PullFailed(VllamaError):
    """A model could not be fetched."""

    code = "pull_failed"


class ErrandFailed(VllamaError):
    """A task in a process of ours failed (``errand.parent``).

    ``error_code`` is that of its own error, if it sent one.
    """

    code = "broke_off"


class StoreFailed(VllamaError):
    """The model store can't be written; nothing half written is visible."""

    code = "store_failed"


class CannotListen(VllamaError):
    """The address can't be bound: taken, not ours, or not allowed."""

    code = "cannot_listen"


class AlreadyRunning(VllamaError):
    """Another daemon owns the same runtime directory."""

    code = "already_running"
