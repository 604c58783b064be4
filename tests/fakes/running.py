"""A fake engine as a child process of the test: started, asked about its state, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.fakes.control import EngineControl

_UP_WITHIN = 20.0  # seconds; it needs well under one
ROOT = Path(__file__).parents[2]


class RunningEngine(EngineControl):
    """``async with RunningEngine(tmp_path, model) as engine`` has it up on ``engine.socket``."""

    def __init__(self, folder: Path, model: Path, *flags: str, name: str = "tinychat", **script: Any) -> None:
        super().__init__(folder / f"{name}.sock")
        self.model = model
        self.name = name
        self._flags = flags
        self._script = script
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        argv = ["-m", "tests.fakes.engine", "--model", str(self.model), "--served-model-name", self.name]
        argv += ["--uds", str(self.socket), *self._flags]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *argv,
                cwd=ROOT,
                env={**os.environ, "FAKE_ENGINE": json.dumps(self._script), "VLLM_MAX_STOP_STRINGS": "64"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_WITHIN
        while not await self._answers():
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise AssertionError(f"the fake engine did not start:\n{self._log.read_text()}")
            await asyncio.sleep(0.02)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def wait(self) -> int:
        """Its exit status, once it has left; negative: killed by that signal."""
        assert self._process is not None
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send its main process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            return False
        writer.close()
        return True
