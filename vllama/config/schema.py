"""The configuration as a frozen value. Pure: no file, no environment, no clock.

Every key of ``etc/vllama.yaml`` is a field here, with its default; unknown keys are errors. Units are in the
values (``30s``, ``4GiB``). Errors of all fields are told at once by ``config.load``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B?|B)?")
_UNITS = {"": 0, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def read_duration(value: Any) -> float:
    """``90s``, ``1h30m``, ``1.5h`` or a number of seconds; -1 and ``forever`` never end."""
    if isinstance(value, bool):
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    if isinstance(value, (int, float)):
        return math.inf if value < 0 else float(value)
    if isinstance(value, str):
        text = value.strip()
        if text in {"forever", "-1"}:
            return math.inf
        parts = _DURATION.findall(text)
        if parts and "".join(f"{n}{u}" for n, u in parts) == text.replace(" ", ""):
            return sum(float(n) * _SECONDS[u] for n, u in parts)
    raise ValueError("must be a duration such as 30s, 5m or 1h30m")


def read_size(value: Any) -> int:
    """``4GiB``, ``500MB``, ``64KiB`` or a number of bytes. ``G`` and ``GiB`` are binary, ``GB`` decimal."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (m := _SIZE.fullmatch(value.strip())):
        unit = m[2] or ""
        base = 1000 if len(unit) == 2 and unit.endswith("B") else 1024
        return int(float(m[1]) * base ** _UNITS[unit[:1].upper()])
    raise ValueError("must be a size such as 64MiB or 4GiB")


Duration = Annotated[float, BeforeValidator(read_duration)]
Size = Annotated[int, BeforeValidator(read_size)]


class Section(BaseModel):
    """Frozen and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Server(Section):
    """Where we listen and what a client may send."""

    host: str = "127.0.0.1"
    port: int = Field(default=11434, ge=0, le=65535)
    origins: tuple[str, ...] = ()
    """Additional CORS origins (one ``*`` each), before Ollama's defaults."""
    max_body: Size = 64 << 20
    max_queue: int = Field(default=512, ge=1)
    """Requests that may wait for a model to load."""


class Paths(Section):
    """Null means: the directory systemd gives, else the XDG one of the user who starts us."""

    state: Path | None = None
    cache: Path | None = None
    runtime: Path | None = None


class Settings(Section):
    """vLLM settings of a profile, a GPU class or one model. Null leaves vLLM's own default in force.

    Merged field by field: profile < its overlay for the GPU class < ``models.NAME.settings``.
    """

    max_num_seqs: int | None = Field(default=None, ge=1)
    max_num_batched_tokens: int | None = Field(default=None, ge=1)
    max_model_len: int | Literal["auto"] | None = None
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    kv_cache_dtype: str | None = None
    kv_cache_memory: Size | None = None
    dtype: str | None = None
    prefix_caching: bool | None = None
    quantization: str | None = None
    tensor_parallel_size: int | None = Field(default=None, ge=1)
    speculative: Mapping[str, Any] | None = None
    enforce_eager: bool | None = None
    tool_parser: str | None = None
    """``none`` switches it off; null: chosen from the chat template."""
    reasoning_parser: str | None = None
    cpu_threads: str | None = None
    """CPU list for ``VLLM_CPU_OMP_THREADS_BIND``; null: every core of the cpuset."""
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)


class Profile(Settings):
    """Settings for a range of model sizes, with overlays by GPU class (``cpu, 16, 24, 32, 80, 141``)."""

    gpu: Mapping[str, Settings] = Field(default_factory=dict)


class ModelEntry(Section):
    """A model that is always there."""

    source: str
    """A directory, ``builtin:tinychat`` or a Hugging Face repository ``org/name[@revision]``."""
    profile: Literal["small", "medium", "large", "xlarge"] | None = None
    settings: Settings = Settings()
    keep_alive: Duration | None = None
    system: str = ""
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class Engine(Section):
    """The vLLM interpreter and how its children are watched."""

    python: Path | None = None
    """Null: the ``current`` one under ``prefix``."""
    prefix: Path | None = None
    """Where ``vllama engine install`` puts it; null: ``/var/lib/vllama-engine`` (root) or under the state directory."""
    stall_timeout: Duration = 600.0
    """Give up a start that said nothing and used no CPU for so long."""
    hang_timeout: Duration = 60.0
    """A ready engine that makes no token for so long while requests run is hung."""
    probe_interval: Duration = 5.0
    drain_timeout: Duration = 30.0
    """How long running answers may go on when the engine is stopped."""
    restart_backoff: Duration = 1.0
    """First pause before a crashed engine is started again; doubles up to ``restart_backoff_max``."""
    restart_backoff_max: Duration = 60.0
    breaker_crashes: int = Field(default=5, ge=1)
    """So many crashes within ``breaker_window`` open the breaker ..."""
    breaker_window: Duration = 600.0
    breaker_cooloff: Duration = 60.0
    """... and a new request may try again after this pause."""


class Log(Section):
    """What goes to the journal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    access: bool = False
    """One line a request."""


class Config(Section):
    """The whole of /etc/vllama.yaml."""

    server: Server = Server()
    paths: Paths = Paths()
    keep_alive: Duration = 300.0
    preload: tuple[str, ...] = ()
    models: Mapping[str, ModelEntry] = Field(default_factory=dict)
    profiles: Mapping[Literal["small", "medium", "large", "xlarge"], Profile] = Field(default_factory=dict)
    engine: Engine = Engine()
    log: Log = Log()
