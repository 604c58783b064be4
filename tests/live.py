"""The real service as a child process of a test: configured, started, asked, ended; nothing of it is mocked."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from tests.client import Client

ROOT = Path(__file__).parents[1]
_LISTENING = re.compile(r"listens on \S*?:(\d+)\b")
_UP_WITHIN = 30.0
_RUNNING: set[LiveService] = set()


@atexit.register
def _end_what_runs() -> None:
    """A run of tests that is broken off leaves no service and no engine behind."""
    for service in tuple(_RUNNING):
        with contextlib.suppress(AssertionError):
            service.stop()


class LiveService(Client):
    """``async with LiveService(folder, config) as service``: up and listening on ``service.url``.

    ``config`` is the YAML as a value; port and directories are filled in, so that several can run side by side.
    ``models`` are the command's arguments. ``start`` and ``stop`` alone need no event loop.
    """

    def __init__(self, folder: Path, config: dict[str, Any], *models: str) -> None:
        super().__init__("")
        self.folder = folder
        self.config = config
        self.log_file = folder / "service.log"
        self.runtime = folder / "run"
        self.wrapper: tuple[str, ...] = ()
        """Words before the command, of a program that becomes the service: ``unshare ...``."""
        self._models = models
        self._process: subprocess.Popen[bytes] | None = None

    # --- life

    def start(self) -> None:
        """Spawn it and wait for the port; AssertionError with all it said when it leaves instead."""
        file = self._write()
        argv = (*self.wrapper, sys.executable, "-m", "vllama", "serve", "--config", str(file), *self._models)
        # the checkout's own settings (make exports them) would win over the file
        env = {name: value for name, value in os.environ.items() if not name.startswith("VLLAMA_")}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
        _RUNNING.add(self)
        deadline = time.monotonic() + _UP_WITHIN
        while not (found := _LISTENING.search(self.log)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.log}")
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{found[1]}"

    def stop(self) -> int:
        """SIGTERM, wait, exit status; SIGKILL for it and its engines when it does not leave."""
        assert self._process is not None
        _RUNNING.discard(self)
        family = self.family()
        self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the service did not stop:\n{self.log}") from None
        finally:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        await asyncio.to_thread(self.stop)

    def reconfigure(self) -> None:
        """Make the service read ``config`` again; what is new in it holds a moment later."""
        self._write()
        self.send(signal.SIGHUP)

    def _write(self) -> Path:
        paths = {"state": self.folder / "state", "cache": self.folder / "cache", "runtime": self.runtime}
        config = {"server": {"port": 0}, "paths": {name: str(path) for name, path in paths.items()}, **self.config}
        file = self.folder / "vllama.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    def send(self, number: signal.Signals) -> None:
        """A signal for the service."""
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self, within: float) -> int:
        """Its exit status, once it has left by itself."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within)

    # --- looking at it

    @property
    def pid(self) -> int:
        """Of the service itself."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All it said so far."""
        return self.log_file.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """All processes below the service: engines, their EngineCores and workers."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def engines(self) -> list[psutil.Process]:
        """The processes of all engines, API servers first."""
        leaders = []
        for note in self.runtime.glob("*.pid"):
            with contextlib.suppress(psutil.NoSuchProcess, OSError, ValueError):
                leaders.append(psutil.Process(int(note.read_text().split()[0])))
        below = []
        for leader in leaders:
            with contextlib.suppress(psutil.NoSuchProcess):
                below += leader.children(recursive=True)
        return [*leaders, *below]

    def spare(self) -> psutil.Process | None:
        """The interpreter that waits for the next engine."""
        engines = {process.pid for process in self.engines()}
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in engines and "vllama_engine.spare" in " ".join(process.cmdline()):
                    return process
        return None
