"""What an installed vLLM can do: asked once of its own interpreter, then read from a file.

Nothing is ever passed to vLLM that is not in ``Capabilities.flags``: an unknown flag ends the engine with status 2
after ten seconds of imports.
"""

from __future__ import annotations

import contextlib
import errno
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, cast, get_args

from vllama import child, files
from vllama.errors import EngineNotInstalled
from vllama.install.registry import Registry, read_registry
from vllama.install.versions import Backend

ASK: Final = Path(__file__).with_name("ask.py")
_SHIPPED: Final = Path(__file__).with_name("registry.json")
"""The registry of the vLLM that ``vllama engine install`` brings; tests/engine compares it with that vLLM's answer."""
QUESTION: Final = "2"
"""Which question an answer belongs to; the same as in ``ask.py``, which the service can't import."""
_ASK_SECONDS: Final = 300
"""Importing torch and vLLM takes 8-18 s; a cold spinning disk a few times that."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One interpreter with vLLM in it."""

    python: Path
    version: str
    """vLLM's, without a local part: ``0.32.0``."""
    backend: Backend
    flags: frozenset[str]
    """Every option string of ``vllm serve``, aliases and ``--no-`` forms included."""
    tool_parsers: frozenset[str]
    reasoning_parsers: frozenset[str]
    registry: Registry
    torch: str = ""
    """torch's full version: ``2.13.0+cpu``."""
    interpreter: str = ""
    """The interpreter's own version: ``3.11.7``."""

    def supports(self, flag: str) -> bool:
        """Whether ``--flag`` may be passed; ``--logging-config.formatter`` is a key of ``--logging-config``."""
        return flag.partition("=")[0].partition(".")[0] in self.flags


def read_capabilities(file: Path, python: Path) -> Capabilities | None:
    """The cached answer in ``file`` for the interpreter ``python``; None where it is missing or not ours."""
    try:
        found = file.stat()
        return _parsed(file, python, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4)
def _parsed(file: Path, python: Path, *_stamp: int) -> Capabilities | None:
    """The answer for as long as its file does not change: every model that is read asks for it."""
    return _from_answer(json.loads(files.read(file)), python)


@cache
def shipped_registry() -> Registry:
    """What the engine that we install knows about models, for as long as none is installed."""
    return read_registry(json.loads(_SHIPPED.read_text()))


def write_capabilities(file: Path, answer: Mapping[str, Any]) -> None:
    """Put the answer in place whole: a reader sees the old file or the new one."""
    files.replace(file, json.dumps(answer, indent=1) + "\n")


def probe(python: Path, cache_file: Path) -> Capabilities:
    """What the vLLM of ``python`` can do, from ``cache_file`` where that still holds, else asked (8-18 s) and cached.

    Raises:
        EngineNotInstalled: the interpreter does not run, or has no vLLM that imports.
    """
    key = ask(python, "key")
    if not key.get("vllm"):
        raise EngineNotInstalled(
            f"{python} has no vLLM in it", hint="Install vLLM there, or remove engine.python from the configuration."
        )
    try:
        cached = json.loads(files.read(cache_file))
    except (OSError, ValueError):
        cached = {}
    if isinstance(cached, dict) and cached.get("key") == key and (known := _from_answer(cached, python)):
        return known
    answer = ask(python)
    capabilities = _from_answer(answer, python)
    if capabilities is None:
        raise EngineNotInstalled(f"{python} gave an invalid answer: {json.dumps(answer)[:200]}")
    # The service may not write to root's prefix: the answer is valid, but must be asked for again next time.
    with contextlib.suppress(OSError):
        write_capabilities(cache_file, answer)
    return capabilities


def ask(python: Path, *arguments: str) -> dict[str, Any]:
    """Run ``ask.py`` with that interpreter and return its answer.

    Raises:
        EngineNotInstalled: it can't be run, fails, or gives no answer.
    """
    try:
        done = subprocess.run(
            question(python, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
            **child.start(user=child.as_whom(python, child.service_user())),
        )
    except OSError as error:
        mine = "Run this as the user who owns it, or make root its owner." if error.errno == errno.EPERM else ""
        raise EngineNotInstalled(f"the interpreter {python} can't be run: {error.strerror}", hint=mine) from error
    except subprocess.TimeoutExpired as error:
        raise EngineNotInstalled(f"vLLM did not import within {_ASK_SECONDS} s in {python}") from error
    answer = read_answer(done.stdout.splitlines())
    if done.returncode != 0 or answer is None:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise EngineNotInstalled(f"vLLM does not import in {python}: {said}")
    return answer


def question(python: Path, *arguments: str) -> list[str]:
    """The command that asks an interpreter: ``ask.py``, shielded from our PYTHONPATH and the current directory."""
    return [str(python), "-I", str(ASK), *arguments]


def read_answer(lines: Sequence[str]) -> dict[str, Any] | None:
    """The answer among what ``ask.py`` printed: the last line that is a JSON object; libraries may talk around it."""
    for line in reversed(lines):
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
    return None


def _from_answer(answer: Any, python: Path) -> Capabilities | None:
    try:
        if answer["backend"] not in get_args(Backend) or answer["key"]["question"] != QUESTION:
            return None
        return Capabilities(
            python=python,
            version=str(answer["version"]),
            backend=cast("Backend", answer["backend"]),
            flags=frozenset(answer["flags"]),
            tool_parsers=frozenset(answer["tool_parsers"]),
            reasoning_parsers=frozenset(answer["reasoning_parsers"]),
            registry=read_registry(answer),
            torch=str(answer.get("torch", "")),
            interpreter=str(answer["key"]["interpreter"]),
        )
    except (KeyError, TypeError):
        return None
