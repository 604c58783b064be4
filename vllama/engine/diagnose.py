"""Finds out why an engine failed, from its exit status and its last lines, in plain words. Pure.

A ``permanent`` cause would fail again in the same way, so the supervisor does not restart it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vllama.engine.complaints import RULES


@dataclass(frozen=True, slots=True)
class Cause:
    """One failure, as the journal, ``vllama ps``, STATUS and the waiting client report it."""

    code: str
    """Stable, for metrics and programs: ``out_of_memory``, ``bad_flag`` ..."""
    text: str
    """What happened, one sentence."""
    hint: str = ""
    """What to do about it, one sentence."""
    permanent: bool = False
    status: int = 500
    """HTTP status for the client that waited."""
    memory: bool = False
    """A plan that asks for less memory may succeed."""
    outside: bool = False
    """Not caused by the engine: what it needs to be started or watched (disk, descriptors) was not available."""

    @property
    def sentence(self) -> str:
        """Text and hint as one line."""
        return f"{self.text} ({self.hint})" if self.hint else self.text


# Less memory may help against these; each is reported once the plans with less memory have failed, too.
_MEMORY: Final = frozenset({"out_of_memory", "gpu_busy", "kv_cache_too_big", "kv_cache_too_small"})
_STARVED: Final = Cause(
    "out_of_memory",
    "the kernel killed the engine because memory ran out",
    "lower max_model_len or kv_cache_memory, use a smaller model, or give the service more memory",
    memory=True,
)

_PREFIX = re.compile(r"^\(\w+(?: pid=\d+)?\)\s+(?:[A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]+\] )?")
_CORE_KILLED = re.compile(r"Failed core proc\(s\): \{'[^']*': -(\d+)")
_CANDIDATE = re.compile(r"^\s*(?:Value error, (?P<value>.*)|[\w.]*(?:Error|Exception|Interrupt): (?P<error>.*))")
_NOISE = (
    "Engine core initialization failed",
    "WorkerProc initialization failed",
    "See stack trace",
    "validation error for",
)
_TAIL = re.compile(r"\s*\[type=\w+.*$|,? ?please check the stack trace.*$", re.IGNORECASE)
_MAX_REASON = 300


def diagnose(returncode: int | None, lines: Sequence[str], *, oom_killed: bool = False) -> Cause:
    """The cause of an unexpected exit. ``returncode`` is asyncio's (negative: killed by that signal).

    ``oom_killed``: meanwhile the kernel has killed one of its processes because memory ran out (memory.events).
    """
    if oom_killed:
        return _STARVED
    for rule in RULES:
        for line in lines:
            if match := rule.pattern.search(line):
                groups = [_clip(g or "") for g in match.groups()]
                memory = rule.code in _MEMORY
                return Cause(rule.code, rule.text.format(*groups), rule.hint, rule.permanent, memory=memory)
    if returncode is not None and returncode < 0:
        return _killed(-returncode)
    reason = _reason(lines)
    number = _core_killed_by(lines)
    if number and not (reason and number == signal.SIGABRT):
        return _killed(number)
    if returncode == 2:
        return Cause(
            "bad_flag",
            f"vLLM refuses its arguments: {reason or 'no reason given'}",
            "correct the model's settings in /etc/vllama.yaml",
            permanent=True,
        )
    if reason:
        return Cause("crashed", f"the engine failed: {reason}", "the engine's log has the details")
    status = "without a status" if returncode is None else f"with status {returncode}"
    return Cause("crashed", f"the engine ended by itself {status}", "the engine's log has the details")


def _core_killed_by(lines: Iterable[str]) -> int:
    """The signal that ended the engine core while it started: its API server then ends by itself. 0: none did."""
    return next((int(match[1]) for line in lines if (match := _CORE_KILLED.search(line))), 0)


def _killed(number: int) -> Cause:
    if number == signal.SIGKILL:
        return Cause(
            "killed",
            "the engine was killed (SIGKILL), usually by the kernel for lack of memory",
            "use a smaller model, context or KV cache",
        )
    if number in {signal.SIGILL, signal.SIGSEGV}:
        return Cause(
            "kernel_crash",
            f"the engine crashed ({signal.Signals(number).name})",
            "this processor or driver may not fit the engine's build",
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return Cause("killed", f"the engine was killed by {name}")


def _reason(lines: Iterable[str]) -> str:
    """vLLM's own most specific line: a ``Value error``, else the first of the engine core's errors, else the last."""
    first = last = ""
    for raw in lines:
        line = _PREFIX.sub("", raw)
        match = _CANDIDATE.match(line)
        if match is None or any(noise in line for noise in _NOISE):
            continue
        text = _clip(_TAIL.sub("", match["value"] or line.strip()))
        if match["value"]:
            return text
        if raw.startswith(("(Worker", "(EngineCore")):
            first = first or text
        last = text
    return first or last


def _clip(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
