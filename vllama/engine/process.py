"""One vLLM child: spawn it, read what it says, end it with everything it started.

The child is the leader of a session of its own; EngineCore and the workers stay in that session, also when their
parent dies. So "gone" means: no living process of that session is left.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

from vllama import child
from vllama.engine.cgroup import EngineGroup, make_group, own_group
from vllama.engine.diagnose import Cause, diagnose
from vllama.engine.progress import Line, Progress, read_line
from vllama.engine.session import CpuMeter, kill_session, living, members, start_time, tidy
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
_TRACKERS_SECONDS = 2.0  # resource trackers end within milliseconds of those they look after
_PIPES_SECONDS = 2.0


class EngineProcess:
    """The child of one spec. Its output goes to our log under the engine's name."""

    def __init__(self, spec: EngineSpec, on_stage: Callable[[str], None]) -> None:
        self.spec = spec
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
        self._exited = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        """Process id of the API server = id of the session."""
        if self._process is None:
            raise LoadFailed("the engine is not running")
        return self._process.pid

    def spawn(self) -> None:
        """Start the child; raises LoadFailed when the interpreter can't be executed."""
        spec = self.spec
        spec.socket.unlink(missing_ok=True)  # vLLM never removes its socket and can't start over a stale one
        spec.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec.scratch.mkdir(mode=0o700, exist_ok=True)
        try:
            self._process = subprocess.Popen(
                spec.argv,
                **child.start(spec.env, cwd=spec.scratch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            reason = f"can't start the engine's interpreter {spec.argv[0]}: {error.strerror}"
            raise LoadFailed(reason, hint="run: vllama engine status") from error
        self._group = make_group(spec.socket.stem)
        if self._group is not None:
            self._group.adopt(self._process.pid)  # its interpreter needs longer than this before it forks
        self._counted = self._group or own_group()
        self._oom_kills = self._counted.oom_kills if self._counted is not None else 0
        self._notice_exit(self._process)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                self._readers.append(asyncio.create_task(self._drain(stream)))

    async def exited(self) -> None:
        """Until the child itself has ended; what it started may still live."""
        await self._exited.wait()

    async def wait(self) -> Cause:
        """Until the child and all it started are gone; what to tell if nobody asked for it."""
        process = self._process
        if process is None:
            raise LoadFailed("the engine is not running")
        await self._exited.wait()
        await self._bury(process.pid)
        await asyncio.wait(self._readers, timeout=_PIPES_SECONDS)  # who held the pipes is gone, so they end
        for reader in self._readers:
            reader.cancel()
        starved = self._counted is not None and self._counted.oom_kills > self._oom_kills
        if self._group is not None:
            self._group.remove()
        self.spec.socket.unlink(missing_ok=True)
        shutil.rmtree(self.spec.scratch, ignore_errors=True)
        tidy(self._pids)
        return diagnose(process.returncode, list(self._lines), oom_killed=starved)

    async def stop(self, *, gentle: bool) -> None:
        """Ask the child to end (when ``gentle``), then make it. ``wait`` returns soon after."""
        process = self._process
        if process is None:
            return
        self._ending = True
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

    def cpu_seconds(self) -> float:
        """CPU time that the engine has used, with all it started; never falls. A hung start does not use any."""
        return self._cpu.read(self.pid) if self._process is not None else 0.0

    def _kill_all(self, session: int, *, spare_trackers: bool) -> bool:
        """SIGKILL all that belongs to the engine; whether there was anything left."""
        group = self._group
        populated = group is not None and group.populated
        killed = kill_session(session, spare_trackers=spare_trackers)
        if group is not None and populated and not (killed and spare_trackers):
            group.kill()
        self._pids |= killed
        return bool(killed) or populated

    async def _bury(self, session: int) -> None:
        """Kill what the child left behind and see it gone: its GPU memory is free only then."""
        began = time.monotonic()
        while self._kill_all(session, spare_trackers=time.monotonic() < began + _TRACKERS_SECONDS):
            if time.monotonic() > began + _GONE_SECONDS:
                self._log.error("processes of session %d survive SIGKILL; its memory may still be taken", session)
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _notice_exit(self, process: subprocess.Popen[bytes]) -> None:
        """Set ``_exited`` when the child itself ends. asyncio's own wait would also wait for its pipes, which
        orphaned children hold open."""
        loop = asyncio.get_running_loop()
        watched = os.pidfd_open(process.pid)

        def ended() -> None:
            loop.remove_reader(watched)
            os.close(watched)
            process.poll()
            self._exited.set()

        loop.add_reader(watched, ended)

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
        record = Line(logging.ERROR, text) if is_traceback(text) else read_line(text)
        if record is None:
            return
        self._lines.extend(record.text.splitlines())
        if self.progress.feed(record.text):
            self._pids |= living(self.pid)
            self._on_stage(self.progress.stage)
        # vLLM complains at length about its own orderly end
        self._log.log(logging.DEBUG if self._ending else record.level, "%s", record.text)


def sweep(pid_file: Path) -> int:
    """End the engine that an earlier daemon left behind (it was killed); how many processes were ended.

    ``pid_file`` is what ``remember`` wrote. A recycled session id is told apart by the leader's start time.
    """
    try:
        session, started = (int(word) for word in pid_file.read_text("ascii").split())
    except (OSError, ValueError):
        return 0
    born = [member.started for member in members(session)]
    mine = born and min(born) >= started
    ended: set[int] = set()
    began = time.monotonic()
    while mine and (killed := kill_session(session, spare_trackers=time.monotonic() < began + _TRACKERS_SECONDS)):
        ended |= killed
        time.sleep(_POLL_SECONDS)
    tidy(ended)
    pid_file.unlink(missing_ok=True)
    return len(ended)


def remember(pid_file: Path, pid: int) -> None:
    """Write down a child for ``sweep``: session id and start time in clock ticks since boot."""
    pid_file.write_text(f"{pid} {start_time(pid)}\n", "ascii")
