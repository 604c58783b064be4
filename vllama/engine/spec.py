"""Everything that is needed to spawn one engine; made by ``engine.command``, used by ``engine.process``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vllama.fit.reported import Basis
from vllama.models.model import Task


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One vLLM child. Two equal specs would start the same engine."""

    name: str
    """Short and printable; prefix of its log lines, e.g. ``tinychat``."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment of the child; nothing else is inherited."""
    socket: Path
    """The unix socket that ``--uds`` names (at most 107 bytes)."""
    served_name: str
    task: Task
    size: int = 0
    """Planned bytes: weights + KV cache + overhead."""
    size_vram: int = 0
    """What of ``size`` is memory of GPUs."""
    weights: int = 0
    """What of ``size`` is weights."""
    kv_cache: int = 0
    """What of ``size`` is KV cache: on a CPU it is taken only as it is filled."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it lives on."""
    max_requests: int = 0
    """Requests that it computes together; 0: not known."""
    asleep: int = 0
    """Bytes that it keeps while it sleeps: of the GPUs (context, graphs), or of RAM where it uses none (the rest waits
    in swap space); 0: it can't sleep."""
    code: str = ""
    """Names the compiled code that its start leaves in the cache; empty: it leaves none, it computes eagerly."""
    compiles: EngineSpec | None = None
    """Of an engine that computes eagerly for want of compiled code: the start that makes the code. It runs once, at the
    lowest priority, while no request runs."""
    background: bool = False
    """It runs at the lowest priority: only when nothing else wants the CPU."""
    keeps: Path | None = None
    """Folder in which it keeps what it compiles (``engine.kept_code``); None: nowhere that outlives it."""
    lora_rank: int = 0
    """Largest rank of an adapter that it can load; 0: none at all."""
    basis: Basis | None = None
    """What it was planned with, to learn from what it reports; None: nothing is learnt."""
    notes: tuple[str, ...] = field(default=())
    """What was chosen and why, in people's words, for the log and ``vllama show``."""

    @property
    def scratch(self) -> Path:
        """See ``scratch_directory``."""
        return scratch_directory(self.socket)


def scratch_directory(socket: Path) -> Path:
    """The engine's own temporary directory, removed with it: every start of vLLM leaves files there.

    Its path is short because vLLM's own sockets (36 characters) lie in it.
    """
    return socket.parent / socket.stem[-8:]
