"""One vLLM child: spawns it, reads its output, and stops it with everything that it started.

The child is the leader of a session of its own; EngineCore and the workers stay in that session, also when their
parent dies. So "gone" means: no living process of that session is left.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from vllama import child
from vllama.engine.cgroup import EngineGroup, let_die_first, make_group, own_group
from vllama.engine.diagnose import Cause, diagnose
from vllama.engine.exits import notice_exit
from vllama.engine.paging import page_out
from vllama.engine.progress import LogLine, Progress, read_line
from vllama.engine.session import CpuMeter, kill_session, living, lowest_priority, signal_session, tidy
from vllama.engine.spec import EngineSpec
from vllama.engine.tracebacks import Tracebacks, is_traceback
from vllama.errors import LoadFailed

_LOG = logging.getLogger("vllama.engine")
_KEEP_LINES = 400
_READ = 1 << 16
_LINE_LIMIT = 1 << 20
_BREAKS = re.compile(rb"[\r\n]+")
# From SIGTERM to SIGKILL, when nothing is left to drain: vLLM needs 0.3-0.7 s, much more on a busy machine.
_TERM_SECONDS = 15.0
_POLL_SECONDS = 0.05
_GONE_SECONDS = 30.0
# Resource trackers end within milliseconds of those that they look after, on a busy machine within seconds. One that is
# killed leaves shared memory behind.
_TRACKERS_SECONDS = 10.0
_PIPES_SECONDS = 2.0
_NOT_ITS_FAULT = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
)
"""Why nothing at all could be started now."""


def new_interpreter(spec: EngineSpec) -> subprocess.Popen[bytes]:
    """The child of ``spec``, started from nothing; raises OSError."""
    return subprocess.Popen(
        spec.argv,
        **child.start({}, more=spec.env, cwd=spec.scratch),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class EngineProcess:
    """The child of one spec. Its output goes to our log under the engine's name."""

    def __init__(
        self,
        spec: EngineSpec,
        on_stage: Callable[[str], None],
        launch: Callable[[EngineSpec], subprocess.Popen[bytes]] | None = None,
    ) -> None:
        """``launch``: where the child comes from, instead of a new interpreter; raises OSError."""
        self.spec = spec
        self._launch = launch or new_interpreter
        self.progress = Progress()
        self.last_output = time.monotonic()
        self._on_stage = on_stage
        self._lines: deque[str] = deque(maxlen=_KEEP_LINES)
        self._log = _LOG.getChild(spec.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._group: EngineGroup | None = None
        self._counted: EngineGroup | None = None
        """Where the kernel counts what it kills for lack of memory: of this engine, or of all without groups."""
        self._oom_kills = 0
        self._ending = False
        self._pids: set[int] = set()
        """Its processes, as far as they were seen: files of theirs outlive them."""
        self._cpu = CpuMeter()
        self._seen_cpu = 0.0
        self._exited = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []
        self._unread: str | None = None
        """Why its output could not be read to the end."""

    @property
    def pid(self) -> int:
        """Process id of the API server = id of the session."""
        if self._process is None:
            raise LoadFailed("the engine is not running")
        return self._process.pid

    def spawn(self) -> None:
        """Start the child; raises LoadFailed when the interpreter can't be executed, OSError when nothing can be."""
        spec = self.spec
        spec.socket.unlink(missing_ok=True)  # vLLM never removes its socket and can't start over a stale one
        spec.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec.scratch.mkdir(mode=0o700, exist_ok=True)
        try:
            process = self._launch(spec)
        except OSError as error:
            if error.errno in _NOT_ITS_FAULT:
                raise
            reason = f"can't start the engine's interpreter {spec.argv[0]}: {error.strerror}"
            raise LoadFailed(reason, hint="run: vllama engine status") from error
        try:
            notice_exit(process, self._exited.set)
        except OSError:  # without a watch on its exit, the child must not run
            process.kill()
            process.communicate()
            raise
        self._process = process
        self._pids.add(process.pid)  # it may be killed before it says anything
        if spec.background:
            lowest_priority(process.pid)  # before it forks: all it starts inherits it
        let_die_first(process.pid)
        self._group = make_group(spec.socket.stem)
        if self._group is not None:
            self._group.adopt(process.pid)  # its interpreter needs longer than this before it forks
        self._counted = self._group or own_group()
        self._oom_kills = self._counted.oom_kills if self._counted is not None else 0
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                reader = asyncio.create_task(self._drain(stream))
                reader.add_done_callback(self._drained)
                self._readers.append(reader)

    async def exited(self) -> None:
        """Wait until the child itself has ended; what it started may still live."""
        await self._exited.wait()

    async def wait(self) -> Cause:
        """Wait until the child and all it started are gone; returns the cause, in case the exit was unexpected."""
        process = self._process
        if process is None:
            raise LoadFailed("the engine is not running")
        await self._exited.wait()
        await self._bury(process.pid)
        await asyncio.wait(self._readers, timeout=_PIPES_SECONDS)  # they end, because the writers are gone
        for reader in self._readers:
            reader.cancel()
        starved = self._counted is not None and self._counted.oom_kills > self._oom_kills
        if self._group is not None:
            self._group.remove()
        with suppress(OSError):  # a directory that has vanished, a disk that has failed: nothing is left to remove
            self.spec.socket.unlink(missing_ok=True)
        shutil.rmtree(self.spec.scratch, ignore_errors=True)
        tidy(self._pids)
        if self._unread is not None:
            return Cause(
                "crashed", f"the engine's output could not be read: {self._unread}", "the service's log says more"
            )
        return diagnose(process.returncode, list(self._lines), oom_killed=starved)

    async def end(self) -> None:
        """SIGKILL the child and all it started, and see it gone; nothing to do when it is."""
        if self._process is not None:
            self._ending = True
            await self._bury(self._process.pid)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TRACKERS_SECONDS):
                    await self._exited.wait()

    async def stop(self, *, gentle: bool) -> None:
        """Send SIGTERM first if ``gentle``, then SIGKILL. ``wait`` returns soon after."""
        process = self._process
        if process is None:
            return
        self._ending = True
        with suppress(OSError):
            self._pids |= living(process.pid)
        if gentle:
            process.terminate()
            try:
                async with asyncio.timeout(_TERM_SECONDS):
                    await self._exited.wait()
            except TimeoutError:
                self._log.warning("did not end within %.0f s of SIGTERM; killing it", _TERM_SECONDS)
            else:
                return
        self._kill_all(process.pid, spare_trackers=True)

    def pause(self, *, paused: bool) -> None:
        """Stop all its processes for a while (SIGSTOP), or let them continue."""
        if self._process is not None:
            with suppress(OSError):  # /proc can't be read without a free descriptor
                signal_session(self._process.pid, signal.SIGSTOP if paused else signal.SIGCONT)

    async def page_out(self, seconds: float) -> None:
        """Make all its processes move their memory to swap space; raises EngineError."""
        await page_out(self.pid, self.spec.scratch, seconds)

    def cpu_seconds(self) -> float:
        """CPU time that the engine has used, with all it started; never falls. A hung start does not use any."""
        if self._process is not None:
            with suppress(OSError):  # /proc can't be read without a free descriptor
                self._seen_cpu = self._cpu.read(self.pid)
        return self._seen_cpu

    def _kill_all(self, session: int, *, spare_trackers: bool) -> bool:
        """SIGKILL all that belongs to the engine; returns whether anything was left."""
        group = self._group
        populated = group is not None and group.populated
        try:
            killed = kill_session(session, spare_trackers=spare_trackers)
        except OSError as error:  # /proc can't be read without a free descriptor
            self._log.warning("can't look for its processes: %s", error.strerror)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(session, signal.SIGKILL)
            return True
        if group is not None and populated and not (killed and spare_trackers):
            group.kill()
        self._pids |= killed
        return bool(killed) or populated

    async def _bury(self, session: int) -> None:
        """Kill what the child left behind, and wait until it is gone: its GPU memory is free only then."""
        began = time.monotonic()
        while self._kill_all(session, spare_trackers=time.monotonic() < began + _TRACKERS_SECONDS):
            if time.monotonic() > began + _GONE_SECONDS:
                self._log.error("processes of session %d survive SIGKILL; its memory may still be taken", session)
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _drain(self, pipe: IO[bytes]) -> None:
        """Read to the end, always: a full pipe would block the engine. Bars use ``\\r`` for a new line."""
        stream = asyncio.StreamReader(limit=_LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        try:
            await self._read(stream)
        finally:
            transport.close()

    def _drained(self, reader: asyncio.Task[None]) -> None:
        """Without a reader the pipe would block the engine some day, so the engine is killed now, with a reason."""
        if reader.cancelled() or (error := reader.exception()) is None:
            return
        self._log.error("its output can't be read any more", exc_info=error)
        self._unread = getattr(error, "strerror", None) or type(error).__name__
        if not self._exited.is_set():
            self._kill_all(self.pid, spare_trackers=True)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        tracebacks = Tracebacks()
        while data := await stream.read(_READ):
            self.last_output = time.monotonic()
            *lines, rest = _BREAKS.split(rest + data)
            if len(rest) > _LINE_LIMIT:
                lines, rest = [*lines, rest], b""
            for line in lines:
                for text in tracebacks.feed(line.decode("utf-8", "replace")):
                    self._said(text)
        for text in (*tracebacks.feed(rest.decode("utf-8", "replace")), *tracebacks.rest()):
            self._said(text)

    def _said(self, text: str) -> None:
        record = LogLine(logging.ERROR, text) if is_traceback(text) else read_line(text)
        if record is None:
            return
        self._lines.extend(record.text.splitlines())
        if self.progress.feed(record.text):
            with suppress(OSError):
                self._pids |= living(self.pid)
            self._on_stage(self.progress.stage)
        # vLLM complains at length about its own orderly end
        self._log.log(logging.DEBUG if self._ending else record.level, "%s", record.text)
