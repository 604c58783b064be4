"""A world for ``install.run``: Pythons, uv and a disk that are not there, and a venv that is.

``Machine`` has the face of ``install.runner.Runner``. A test says what the machine has, and where it shall be cut off.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllama.install.capabilities import QUESTION

GOOD_ANSWER: dict[str, Any] = {
    "key": {"interpreter": "3.11.7", "vllm": "0.32.0", "torch": "2.13.0+cpu", "question": QUESTION},
    "version": "0.32.0",
    "backend": "cpu",
    "torch": "2.13.0+cpu",
    "flags": ["--uds", "--model"],
    "tool_parsers": ["hermes"],
    "reasoning_parsers": ["qwen3"],
    "models": {"Qwen3ForCausalLM": "generate"},
    "gone_models": {},
    "quantizations": ["awq"],
}


class Killed(BaseException):
    """``kill -9`` of ourselves: nobody catches it."""


@dataclass
class Machine:
    """What there is, and a record of what was run."""

    pythons: dict[str, str] = field(default_factory=lambda: {"python3.11": "3.11"})
    """Commands on PATH and the version behind each."""
    torch_for: tuple[str, ...] = ("3.11",)
    """Pythons for which a ``+cpu`` torch can be had."""
    has_pip: bool = True
    pip_config: str = ""
    free: int = 10**12
    answer: dict[str, Any] | None = field(default_factory=lambda: dict(GOOD_ANSWER))
    """What the engine says for itself; None: it does not import."""
    fails: dict[str, list[str]] = field(default_factory=dict)
    """A word of a command → what that command says before it ends with status 1."""
    kill_at: str = ""
    """A word of the command in whose midst we are killed."""
    ran: list[list[str]] = field(default_factory=list)
    environs: list[dict[str, str]] = field(default_factory=list)
    """What was added to the environment of each."""
    during: Callable[[], None] = lambda: None
    """Called while packages are being installed."""

    def which(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.pythons else None

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def ask(self, command: Sequence[str], stdin: str = "", environ: Mapping[str, str] | None = None) -> str | None:
        line = " ".join(command)
        if "-I -c" in line:
            version = self.pythons.get(Path(command[0]).name)
            return None if version is None else python_answer(version)
        if line.endswith("-m pip config list"):
            return self.pip_config if self.has_pip else None
        wanted = next((v for v in self.torch_for if f"python{v}" in line), None)
        return "torch==2.13.0+cpu" if wanted else None

    def stream(
        self,
        command: Sequence[str],
        hear: Callable[[str], None],
        tick: Callable[[], None],
        hold: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        assert hold is not None, "a child that outlives us must hold the lock"
        self.ran.append(list(command))
        self.environs.append(dict(environ or {}))
        line = " ".join(command)
        for word, lines in self.fails.items():
            if word in line:
                for said in lines:
                    hear(said)
                return 1
        killed = bool(self.kill_at) and self.kill_at in line
        if "venv" in command:
            make_venv(Path(command[-1]))
        elif "ask.py" in line:
            if self.answer is None:
                hear("ImportError: libcudart.so.13: cannot open shared object file")
                return 1
            hear("Triton is installed, but doesn't include CPU backend.")
            hear(json.dumps(self.answer))
            hear("nanobind: leaked 3 instances!")
        elif "--require-hashes" in command:
            self.during()
            hear("Downloading torch (182.9MiB)")
            tick()
            (_site_packages(Path(command[command.index("--requirement") + 1]).parents[1]) / "torch").mkdir()
            if killed:
                raise Killed
            hear(" Downloaded torch")
            hear("Prepared 147 packages in 9.32s")
            hear("Installed 147 packages in 1.27s")
        if killed:
            raise Killed
        tick()
        return 0


def python_answer(version: str, **differences: Any) -> str:
    """What a Python says of itself."""
    major, minor = map(int, version.split("."))
    answer = {
        "path": f"/usr/bin/python{version}",
        "version": [major, minor],
        "implementation": "CPython",
        "threaded": False,
    }
    return json.dumps(answer | differences)


def make_venv(folder: Path) -> None:
    """A folder that looks like a venv of this very interpreter."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    _site_packages(folder).mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("")


def _site_packages(folder: Path) -> Path:
    return folder / "lib" / "python3.11" / "site-packages"


@dataclass
class Listener:
    """An audience that remembers."""

    steps: list[tuple[float, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def step(self, percent: float, doing: str) -> None:
        self.steps.append((percent, doing))

    def note(self, text: str) -> None:
        self.notes.append(text)
