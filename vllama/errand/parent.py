"""The parent's side of an errand: starts the child, hears its progress, returns its result, and sees it gone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, cast

import orjson

from vllama import child
from vllama.errand.lines import LONGEST, Advance, Failure, Result, read
from vllama.errors import ErrandFailed
from vllama.redaction import without_passwords

_LOG: Final = logging.getLogger("vllama.errand")
_KEPT: Final = 8 << 10
"""Bytes of the end of what a child says that are kept."""
_GRACE: Final = 5.0
_LINGER: Final = 1.0
"""Seconds after a child's exit in which its last lines are read."""
Hear: TypeAlias = Callable[[Advance], None]


async def send(
    module: str,
    order: Any,
    doing: str,
    hear: Hear = lambda _: None,
    *,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    longest: int = LONGEST,
    grace: float = _GRACE,
) -> Any:
    """The result of ``python -m module`` for ``order``, a value of JSON; ``hear`` gets the progress as it comes.

    ``doing`` begins the messages about a child that breaks off: "fetching acme/mini". ``environ``: of the child,
    without secrets, because all programs of our user can read it. ``secrets``: what it gets in another way.
    ``longest``: bytes of a line. A child that is no longer needed is terminated, and killed ``grace`` seconds later.

    Raises ErrandFailed, with the ``error_code`` of the child's own error or with "broke_off"; OSError if it can't be
    started.
    """
    transport, heard = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Child(hear, longest),
        *child.module(module),
        **child.start(environ),
        start_new_session=True,  # a Ctrl-C at the terminal is ours to answer
    )
    try:
        stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
        stdin.write(orjson.dumps({"order": order, "secrets": dict(secrets or {})}) + b"\n")
        match await heard.outcome:
            case Result(value):
                return value
            case Failure(kind, cause, hint, where):
                raise ErrandFailed(cause, hint=hint, where=where, code=kind)
            case str(fault):
                if not fault:
                    await _within(grace, heard.exited)
                await _end(transport, heard, grace)
                await _within(grace, heard.silent)
                raise _broken(doing, fault or heard.last_line or f"exit status {transport.get_returncode()}", heard)
    finally:
        try:
            await _end(transport, heard, grace)
        finally:
            transport.close()


def _broken(doing: str, fault: str, heard: _Child) -> ErrandFailed:
    _LOG.error("%s failed: %s", doing, heard.text or fault)
    return ErrandFailed(f"{doing} failed: {fault}")


async def _end(transport: asyncio.SubprocessTransport, heard: _Child, grace: float) -> None:
    """Terminate the child, with what it started; kill it after ``grace`` seconds, or when we are cancelled again."""
    try:
        _signal(transport, signal.SIGTERM)
        await _within(grace, heard.exited)
    finally:
        _signal(transport, signal.SIGKILL)
        await heard.exited.wait()


def _signal(transport: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    if transport.get_returncode() is None:
        with suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), number)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


class _Child(asyncio.SubprocessProtocol):
    """What the child says. Its exit is seen at once, whoever holds its pipes open."""

    def __init__(self, hear: Hear, longest: int) -> None:
        self.outcome: asyncio.Future[Result | Failure | str] = asyncio.get_running_loop().create_future()
        """The last line of the protocol; or what was wrong with the lines, empty where they just ended."""
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()
        """Its standard error has ended."""
        self._hear, self._longest = hear, longest
        self._line = bytearray()
        self._said = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by asyncio."""
        if fd == 2:
            self._said = (self._said + data)[-_KEPT:]
        elif not self.outcome.done():
            try:
                self._feed(data)
            except Exception as error:  # noqa: BLE001 - what ``hear`` raises belongs to the one who waits
                self.outcome.set_exception(error)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Called by asyncio."""
        if fd == 2:
            self.silent.set()
        elif fd == 1:
            self._no_more_lines()

    def process_exited(self) -> None:
        """Called by asyncio. A process that the child left may hold its pipes open."""
        self.exited.set()
        asyncio.get_running_loop().call_later(_LINGER, self._no_more_lines)

    @property
    def text(self) -> str:
        """The end of what it said apart from the protocol, without passwords."""
        return without_passwords(self._said.decode("utf-8", "replace").strip())

    @property
    def last_line(self) -> str:
        """Of ``text``."""
        return self.text.rpartition("\n")[2].strip()

    def _no_more_lines(self) -> None:
        if not self.outcome.done():
            self._said += bytes(self._line)
            self.outcome.set_result("")

    def _feed(self, data: bytes) -> None:
        self._line += data
        *lines, rest = self._line.split(b"\n")
        self._line = rest
        for line in lines:
            match read(bytes(line)):
                case Advance() as advance:
                    self._hear(advance)
                case Result() | Failure() as last:
                    self.outcome.set_result(last)
                    return
                case None:
                    self._said = (self._said + line + b"\n")[-_KEPT:]
        if len(rest) > self._longest:
            self.outcome.set_result(f"it sent a line of more than {self._longest} bytes")
