"""One run of ``vllama engine install``: from a bare folder, or a half-made venv, to a published engine.

It may be killed at any point; run again, it finishes. What a venv holds is trusted only once it was verified, and a
half-made one is cleared (uv's cache keeps what was fetched). One rename at the end changes the current engine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from vllama import files
from vllama.errors import InstallFailed
from vllama.install import interpreter as pythons
from vllama.install import lock as lockfile
from vllama.install.capabilities import Capabilities, question, read_answer, read_capabilities, write_capabilities
from vllama.install.locks import LockName, shipped
from vllama.install.prefix import SYSTEM, Home, Prefix
from vllama.install.runner import Runner
from vllama.install.tally import Tally
from vllama.install.tool import Invocation, explain
from vllama.install.versions import PINNED
from vllama.install.wanted import Audience, Ingredients, WantedEngine, gather
from vllama.redaction import without_passwords

_VENV_PERCENT: Final = 2.0
_PACKAGES_PERCENT: Final = 90.0
_VERIFY_PERCENT: Final = 94.0
_REMEMBERED_LINES: Final = 60
_LOOK_AGAIN: Final = 0.5
"""Seconds between two tries for the lock: ``flock`` itself can wait, but shows no progress."""
_BESIDE: Final = 1.25
"""Disk space that an installation needs, as a multiple of what stays: both wheels and their unpacked files."""
_CUDA_BYTES: Final = 14_000_000_000
"""Most of the CUDA lock's packages were never weighed; vLLM's CUDA build with its libraries takes about 11 GB."""


@dataclass(slots=True)
class Installation:
    """The steps, in order. Effects go through ``runner`` and to files under the prefix."""

    wish: WantedEngine
    audience: Audience
    runner: Runner
    uv: str | None
    """uv's executable, where there is one."""
    _heard: list[str] = field(default_factory=list)
    _lock: IO[str] | None = None

    def run(self) -> tuple[Capabilities, bool]:
        """Install; returns the engine and whether anything was done.

        Raises:
            InstallFailed: says why and what to do. Nothing that worked before is worse for it.
        """
        prefix = Prefix(self.wish.prefix)
        if prefix.path == SYSTEM:
            # root's own mask may be 077, but the service's user has to read what is installed here
            os.umask(0o022)
        try:
            prefix.path.mkdir(parents=True, exist_ok=True)
            with self._alone(prefix):
                if not self.wish.force and (there := self._already_there(prefix)):
                    return there, False
                return self._install(prefix), True
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise InstallFailed(
                f"can't write the engine's folder {prefix.path}: {error.strerror or error}{where}",
                hint="Run it as root, or choose another folder with --prefix.",
            ) from error

    @contextmanager
    def _alone(self, prefix: Prefix) -> Iterator[None]:
        """Hold the lock file; an installation that is already running is waited for, and may have done our work."""
        with files.open_kept(prefix.path / ".lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                self.audience.note(f"another installation is running (process {owner}); waiting for it")
                self._wait_for(lock)
            lock.seek(0)
            lock.truncate()
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            self._lock = lock
            yield

    def _wait_for(self, lock: IO[str]) -> None:
        tick = self._waiting(0, "waiting for the other installation")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_AGAIN)
                tick()
            else:
                return

    def _already_there(self, prefix: Prefix) -> Capabilities | None:
        """A verified engine of the wished kind: the current one, or one that was finished but not published."""
        current = prefix.current
        wished = pythons.named(self.wish.python, self.runner.ask, self.runner.which).short if self.wish.python else ""
        for home in [*([current] if current else []), *prefix.homes()]:
            known = read_capabilities(home.capabilities_file, home.python) or self._ask_again(home)
            if known is None or home.interpreter_gone or (known.version, known.backend) != (PINNED, self.wish.backend):
                continue
            if wished and not known.interpreter.startswith(f"{wished}."):
                continue
            prefix.publish(home)
            return known
        return None

    def _ask_again(self, home: Home) -> Capabilities | None:
        """Ask a complete engine again, if an earlier version of vLLama kept a shorter answer."""
        if not home.complete or home.interpreter_gone:
            return None
        said: list[str] = []
        self._run(question(home.python), said.append, self._waiting(1, "asking vLLM what it can do"), may_fail=True)
        answer = read_answer(said)
        if answer is None:
            return None
        write_capabilities(home.capabilities_file, answer)
        return read_capabilities(home.capabilities_file, home.python)

    def _install(self, prefix: Prefix) -> Capabilities:
        made_from = gather(self.wish, self.runner, self.audience, self.uv)
        _check_room(self.runner.free_bytes(prefix.path), prefix.path, made_from.locks)
        python = made_from.python
        self.audience.note(f"vLLM {PINNED} for {self.wish.backend}, with Python {python.short} ({python.path})")
        home = prefix.new_home(PINNED, self.wish.backend)
        if home.path.exists():
            self.audience.note(f"clearing a half-made installation ({home.path}); what was fetched is kept")
            self.audience.step(1, "clearing a half-made installation")
            shutil.rmtree(home.path)
        self._run(made_from.uv.make_venv(python, home.path), tick=self._waiting(1, "making the venv"))
        self._fill(home, made_from)
        if self.wish.backend == "cuda":
            self._download_kernels(home)
        if prefix.path == SYSTEM:
            # The service runs as a user that can't write here: without compiled files each start would compile again.
            command = [str(home.python), "-I", "-m", "compileall", "-q", "-j", "0", str(home.path / "lib")]
            self._run(command, tick=self._waiting(_PACKAGES_PERCENT, "compiling Python files"), may_fail=True)
        capabilities = self._verify(home)
        prefix.publish(home)
        for old in prefix.outdated():
            self.audience.note(f"removing {old.path.name}, which is neither the current nor the previous engine")
            shutil.rmtree(old.path)
        self.audience.step(100, "done")
        return capabilities

    def _fill(self, home: Home, made_from: Ingredients) -> None:
        """Install the locks and show progress. The venv keeps the locks it was made from."""
        locks = [home.path / "locks" / f"{name}.lock" for name in made_from.locks]
        locks[0].parent.mkdir()
        sizes: dict[str, float] = {}
        for name, file in zip(made_from.locks, locks, strict=True):
            text = shipped(name)
            file.write_text(text)
            sizes |= lockfile.sizes(lockfile.parse(text))
        tally = Tally(sizes)
        before = _packages_in(home)

        def tick() -> None:
            if tally.placing:
                tally.placed(_packages_in(home) - before)
            share = (_PACKAGES_PERCENT - _VENV_PERCENT) / 100
            self.audience.step(_VENV_PERCENT + tally.percent * share, tally.doing)

        uv = made_from.uv
        index = self.wish.torch_index
        self._run(uv.from_locks(home.python, locks, index), tally.hear, tick)
        if made_from.unhashed:
            self._run(uv.unhashed(home.python, made_from.unhashed, index), tally.hear, tick)

    def _download_kernels(self, home: Home) -> None:
        """FlashInfer's precompiled kernels: without them the first start compiles for minutes."""
        command = [str(home.python), "-I", "-m", "vllm.entrypoints.cli.main", "download-kernels"]
        tick = self._waiting(_PACKAGES_PERCENT, "fetching FlashInfer's precompiled kernels")
        if not self._run(command, tick=tick, may_fail=True):
            self.audience.note("FlashInfer's kernels could not be fetched; the first start compiles them (minutes)")

    def _verify(self, home: Home) -> Capabilities:
        """Ask the new interpreter for its vLLM (the first import takes 10 to 60 s) and keep the answer."""
        said: list[str] = []
        self._run(question(home.python), said.append, self._waiting(_VERIFY_PERCENT, "asking vLLM what it can do"))
        answer = read_answer(said) or {}
        if (answer.get("version"), answer.get("backend")) != (PINNED, self.wish.backend):
            raise InstallFailed(
                f"the installed engine is vLLM {answer.get('version')} for {answer.get('backend')}, "
                f"not {PINNED} for {self.wish.backend}",
                hint=self._look(),
            )
        write_capabilities(home.capabilities_file, answer)
        capabilities = read_capabilities(home.capabilities_file, home.python)
        if capabilities is None:
            raise InstallFailed("the installed engine gave an invalid answer", hint=self._look())
        return capabilities

    def _run(
        self,
        command: Invocation | Sequence[str],
        hear: Callable[[str], None] | None = None,
        tick: Callable[[], None] | None = None,
        *,
        may_fail: bool = False,
    ) -> bool:
        """Run one command; its output goes to ``install.log`` and its last lines are kept to say why it failed."""
        self._heard.clear()
        call = command if isinstance(command, Invocation) else Invocation(tuple(command))
        with files.open_kept(self.wish.prefix / "install.log", "a") as log:

            def listen(line: str) -> None:
                line = without_passwords(line)
                log.write(line + "\n")
                self._heard.append(line)
                del self._heard[:-_REMEMBERED_LINES]
                if hear is not None:
                    hear(line)

            hold = self._lock.fileno() if self._lock is not None else None
            try:
                status = self.runner.stream(call.argv, listen, tick or (lambda: None), hold, call.environ)
            except OSError as error:
                raise InstallFailed(f"{call.argv[0]} can't be run: {error.strerror or error}") from error
        if status != 0 and not may_fail:
            message, hint = explain(self._heard)
            raise InstallFailed(message, hint=f"{hint}\n{self._look()}")
        return status == 0

    def _waiting(self, percent: float, doing: str) -> Callable[[], None]:
        """A tick for a command that does not say how far it is: shows that time passes."""
        begun = time.monotonic()
        self.audience.step(percent, doing)
        return lambda: self.audience.step(percent, f"{doing} ({time.monotonic() - begun:.0f} s)")

    def _look(self) -> str:
        return f"All that was said: {self.wish.prefix / 'install.log'}"


def _check_room(free: int, folder: Path, locks: Sequence[LockName]) -> None:
    pins = [pin for name in locks for pin in lockfile.parse(shipped(name))]
    need = _CUDA_BYTES if "cuda" in locks else sum(lockfile.sizes(pins).values()) * 1e6 * _BESIDE
    if free < need:
        raise InstallFailed(
            f"not enough space in {folder}: the engine needs {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            hint="Make room, or choose another folder with --prefix.",
        )


def _packages_in(home: Home) -> int:
    return sum(1 for _ in home.path.glob("lib/python*/site-packages/*.dist-info"))
