"""Reads an engine's output while it starts: how far it is, and what it reports about its capacity. Pure.

Source: the stage lines of vLLM 0.32, as text or as JSON records (``--logging-config.formatter json``).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from vllama.engine.compilation import CompilationReport

# message part -> what people read; in order of appearance, with how far the start then is: an estimate in
# percent, which rises by the last number while the stage's own percent does
_STAGES: Final = (
    (re.compile(r"vLLM server version|version \d+\.\d+\.\d+"), "engine is starting", 2, 0),
    (re.compile(r"non-default args:"), "arguments accepted", 15, 0),
    (re.compile(r"Resolved architecture: (\S+)"), "reading the model's configuration", 20, 0),
    (re.compile(r"Initializing a V1 LLM engine"), "starting the engine core", 30, 0),
    (re.compile(r"Starting to load model"), "loading weights", 40, 0),
    (re.compile(r"Loading safetensors checkpoint shards:\s+(\d+)% Completed"), "loading weights {0} %", 40, 25),
    (re.compile(r"Loading weights took|Model loading took"), "weights loaded", 65, 0),
    (re.compile(r"Warming up model for the compilation"), "warming up", 68, 0),
    (re.compile(r"KV cache size:"), "KV cache ready", 85, 0),
    (re.compile(r"Capturing CUDA graphs[^:]*:\s+(\d+)%"), "capturing CUDA graphs {0} %", 85, 8),
    (re.compile(r"init engine \(profile"), "engine core is ready", 94, 0),
    (re.compile(r"Starting vLLM server on|Application startup complete"), "opening its socket", 97, 0),
)
_REACHED: Final = {words.removesuffix(" {0} %"): (reached, more) for _, words, reached, more in _STAGES} | {
    "loading compiled code": (70, 0),
    "compiling": (70, 0),
    "compiling again": (70, 0),
    "first token": (98, 0),  # the supervisor's own
}
_SHARE: Final = re.compile(r" (\d+) %$")
_KV_TOKENS = re.compile(r"KV cache size: ([\d,]+) tokens")
_WEIGHTS = re.compile(r"Model loading took ([\d.]+) GiB")
_KV_MEMORY = re.compile(r"Available KV cache memory: ([\d.]+) GiB")
_CODE = re.compile(r"(?:saved AOT compiled function to|Directly load AOT compilation from path) (\S.*)$")
_GIB: Final = 1 << 30
_TEXT_LINE = re.compile(
    r"^\((\w+)(?: pid=\d+)?\)\s+(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d [\d:]+ \[[^\]]+\] (.*)$"
)
_UVICORN = re.compile(r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL):\s+(.*)$")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Warnings that every start or exit of a healthy engine prints. Nothing can be done about them.
_HARMLESS: Final = (
    "Triton is not installed",
    "Model Runner V2 requires Triton",
    "doesn't include CPU backend",
    "leaked",
    "Found ulimit of",
    "Reset SSM cache type",
    "Enforce eager set",
    "Inductor compilation was disabled by user settings",
    "is not found in LD_PRELOAD",
    "Failed to create oneDNN linear",
    "leaving Torch threads at",
    "The global random seed is set to",  # to the same as without the executor that we choose
    "API fast, please install orjson",
    "Default vLLM sampling parameters have been overridden",
    "Chat template rejected the request",  # its client gets the error
    "Compiling model again due to",  # we report it in our own words, with what to do (engine.compilation)
    "unable to save AOT compiled function to",
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record of an engine's output."""

    level: int
    """A ``logging`` level."""
    text: str
    process: str = ""
    """``APIServer``, ``EngineCore``, ``Worker``; empty when unknown."""


def read_line(raw: str) -> LogLine | None:
    """One line of output as a record, without colours; None when there is nothing to say."""
    text = _ANSI.sub("", raw).rstrip()
    if not text.strip():
        return None
    if text.startswith("{") and (record := _json_record(text)) is not None:
        return record
    if match := _TEXT_LINE.match(text):
        return LogLine(_level(match[2], match[3]), match[3], match[1])
    if match := _UVICORN.match(text):
        return LogLine(_level(match[1], match[2]), match[2])
    return LogLine(logging.INFO, text)


def _json_record(text: str) -> LogLine | None:
    try:
        record: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(record, dict) or "message" not in record:
        return None
    message = str(record["message"])
    if trace := record.get("exc_info"):
        message = f"{message}\n{trace}"
    return LogLine(
        _level(str(record.get("levelname", "INFO")), message), message, str(record.get("vllm_process_name", ""))
    )


def _level(name: str, text: str) -> int:
    number = logging.getLevelNamesMapping().get(name, logging.INFO)
    if number == logging.WARNING and any(part in text for part in _HARMLESS):
        return logging.DEBUG
    return number


@dataclass(slots=True)
class Progress:
    """What one start has reported so far; feed it every line's text."""

    stage: str = "engine is starting"
    kv_tokens: int = 0
    """Capacity of the KV cache in tokens; 0 until the engine said it."""
    weights: int = 0
    """Bytes of the loaded weights on one GPU, to 10 MiB; 0 until it said so (a CPU engine never does)."""
    kv_memory: int = 0
    """Bytes of the KV cache on one GPU, to 10 MiB; 0 until it said so (it does not if the size was configured)."""
    compilation: CompilationReport = field(default_factory=CompilationReport)

    code: str = ""
    """The file of its compiled code that it saved or loaded; empty until it said so."""

    def feed(self, text: str) -> bool:
        """True when the stage changed."""
        if match := _KV_TOKENS.search(text):
            self.kv_tokens = int(match[1].replace(",", ""))
        elif match := _WEIGHTS.search(text):
            self.weights = int(float(match[1]) * _GIB)
        elif match := _KV_MEMORY.search(text):
            self.kv_memory = int(float(match[1]) * _GIB)
        elif match := _CODE.search(text):
            self.code = match[1]
        if self.compilation.feed(text):
            changed, self.stage = self.compilation.doing != self.stage, self.compilation.doing
            return changed
        for pattern, words, *_ in _STAGES:
            if match := pattern.search(text):
                stage = words.format(*match.groups())
                changed, self.stage = stage != self.stage, stage
                return changed
        return False


def reached(stage: str) -> float | None:
    """How much of the start is over at this stage, in percent: an estimate. None for other words than ours."""
    share = _SHARE.search(stage)
    known = _REACHED.get(stage[: share.start()] if share else stage)
    if known is None:
        return None
    return known[0] + known[1] * min(int(share[1]), 100) / 100 if share else float(known[0])
