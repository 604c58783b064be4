"""Ollama's and our environment variables as configuration values. Pure.

Ollama's variables are read as Ollama reads them: blanks and quotes around a value are dropped, and what can't be
understood counts as not given. Ours (``VLLAMA_*``) are as strict as the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.config.address import check_address, read_address
from vllama.config.document import KeyPath
from vllama.durations import read_go_duration

_FOREVER: Final = -1.0

Values = Mapping[KeyPath, Any]


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One environment variable that sets configuration keys."""

    name: str
    read: Callable[[str], Values]


def _duration(text: str) -> float | None:
    """Go's durations, or a bare integer of seconds; negative means forever (-1); None when it is neither."""
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return float(text) if int(text) >= 0 else _FOREVER
    seconds = read_go_duration(text)
    return _FOREVER if seconds is not None and text.startswith("-") else seconds


def _address(text: str) -> Values:
    address = read_address(text)
    return {("server", "host"): address.host, ("server", "port"): address.port}


def _own_address(text: str) -> Values:
    """As ``_address``, but what can't be understood is kept for ``server.host``, which refuses it."""
    try:
        check_address(text)
    except ValueError:
        return {("server", "host"): text}
    return _address(text)


def _keep_alive(text: str) -> Values:
    seconds = _duration(text)
    return {} if seconds is None else {("keep_alive",): seconds}


def _load_timeout(text: str) -> Values:
    seconds = _duration(text)
    return {} if seconds is None else {("engine", "stall_timeout"): seconds if seconds > 0 else _FOREVER}


def _origins(text: str) -> Values:
    return {("server", "origins"): [origin.strip() for origin in text.split(",") if origin.strip()]}


def _count(*key: str) -> Callable[[str], Values]:
    """A number above 0; 0 is Ollama's way to leave a choice to the server."""

    def read(text: str) -> Values:
        return {key: int(text)} if re.fullmatch(r"\d{1,12}", text) and int(text) > 0 else {}

    return read


def _debug(text: str) -> Values:
    return {} if text.lower() in {"0", "f", "false"} else {("log", "level"): "debug"}


def _text(*key: str) -> Callable[[str], Values]:
    def read(text: str) -> Values:
        return {key: text}

    return read


VARIABLES: Final = (
    EnvironmentVariable("OLLAMA_HOST", _address),
    EnvironmentVariable("OLLAMA_KEEP_ALIVE", _keep_alive),
    EnvironmentVariable("OLLAMA_ORIGINS", _origins),
    EnvironmentVariable("OLLAMA_MAX_QUEUE", _count("server", "max_queue")),
    EnvironmentVariable("OLLAMA_MAX_LOADED_MODELS", _count("engine", "max_loaded")),
    EnvironmentVariable("OLLAMA_CONTEXT_LENGTH", _count("context_length")),
    EnvironmentVariable("OLLAMA_LOAD_TIMEOUT", _load_timeout),
    EnvironmentVariable("OLLAMA_DEBUG", _debug),
    EnvironmentVariable("VLLAMA_HOST", _own_address),
    EnvironmentVariable("VLLAMA_STATE_DIR", _text("paths", "state")),
    EnvironmentVariable("VLLAMA_CACHE_DIR", _text("paths", "cache")),
    EnvironmentVariable("VLLAMA_RUNTIME_DIR", _text("paths", "runtime")),
    EnvironmentVariable("VLLAMA_ENGINE_PREFIX", _text("engine", "prefix")),
)
"""In the order in which they are applied: a later one wins."""


_ELSEWHERE: Final = {
    "OLLAMA_MODELS": "models are kept in paths.state; Ollama's files can't be served",
    "OLLAMA_NUM_PARALLEL": "vLLM computes requests together by itself; max_num_seqs of a profile limits how many",
    "OLLAMA_KV_CACHE_TYPE": "set kv_cache_dtype: fp8 in a profile or in a model's settings",
    "OLLAMA_FLASH_ATTENTION": "vLLM chooses the fastest attention by itself",
    "OLLAMA_SCHED_SPREAD": "tensor_parallel_size of a profile says how many GPUs share a model",
    "OLLAMA_GPU_OVERHEAD": "kv_cache_share of a profile leaves memory to other programs",
    "OLLAMA_MULTIUSER_CACHE": "the prefix cache serves all clients by itself",
    "OLLAMA_LLM_LIBRARY": "vllama engine install chooses the build of vLLM",
    "OLLAMA_NUM_GPU": "a model is loaded whole or not at all; vllama plan MODEL shows whether it fits",
    "OLLAMA_NOPRUNE": "what no model needs any more is removed when the service starts",
    "OLLAMA_VULKAN": "vLLM has no build for Vulkan",
}
"""Variables of Ollama's service that set no key, and what there is in their place."""


def unheeded(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each of Ollama's variables that is set and has no effect."""
    for name, instead in _ELSEWHERE.items():
        if environ.get(name, "").strip(" \t\r\n\"'"):
            yield f"{name} has no effect: {instead}"


def without_choices(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what people export for their clients; variables that name our directories stay."""
    names = {variable.name for variable in VARIABLES if not variable.name.endswith(("_DIR", "_PREFIX"))}
    return {name: value for name, value in environ.items() if name not in names}


def keys_of(name: str) -> tuple[KeyPath, ...]:
    """The keys that a variable sets; empty if it sets none."""
    found = next((variable for variable in VARIABLES if variable.name == name), None)
    return tuple(found.read("1")) if found is not None else ()


def from_environment(environ: Mapping[str, str]) -> list[tuple[str, Values]]:
    """Name and values of every variable that is set and understood."""
    found = []
    for variable in VARIABLES:
        text = environ.get(variable.name, "").strip(" \t\r\n\"'")
        if text and (values := variable.read(text)):
            found.append((variable.name, values))
    return found
