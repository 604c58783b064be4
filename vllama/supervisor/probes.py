"""Checks that one engine starts, is alive and makes tokens.

Alive is not healthy: a stopped EngineCore leaves ``/health`` at 200 for ever, so a working engine is one that makes
tokens. While requests run, their bytes are watched; while it is idle, it is asked for one token now and then. Bytes
also stay away when a client reads slowly, and counters stand still when there is nothing to do: so silence alone ends
no engine, it must have failed to make one token when asked.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from vllama.config.schema import Config
from vllama.engine.client import Client
from vllama.engine.diagnose import Cause
from vllama.errors import Busy, EngineError
from vllama.models.model import Task
from vllama.supervisor.spawner import Process
from vllama.supervisor.states import Capacity

_HEALTH_EVERY = 0.1
_HEALTH_TIMEOUT = 5.0
# A CPU engine that compiles its first shapes can be slow at it; a hung one never answers.
_FIRST_TOKEN_SECONDS = 300.0
_IDLE_TOKEN_SECONDS = 30.0
_SUSPECT_TOKEN_SECONDS = (5.0, 30.0)  # the last question of a silent engine waits hang_timeout, within these bounds
_BUSY_WITHOUT_PROGRESS = 10.0  # times hang_timeout: even an engine that burns CPU must make a token some day
_WORKING_SHARE = 0.05  # of one core: an idle engine uses 0.01
_MARKS = re.compile(
    rb"^vllm:(?:generation_tokens_total|prompt_tokens_total|kv_cache_usage_perc|num_requests_\w+)\{.*$", re.MULTILINE
)
DIED = Cause("crashed", "the engine's core died", "it is started again; its log may say why")
HUNG = Cause("hung", "the engine hung and was killed", "it is started again; its log may say why")
STALLED = Cause("stalled", "the engine's start made no progress", "the engine's log has the details", permanent=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each silence may last, in seconds (``engine`` section of the configuration)."""

    stall: float = 600.0
    hang: float = 60.0
    interval: float = 5.0
    idle_interval: float = 60.0


def patience_of(config: Config) -> Patience:
    """The patience that the configuration sets."""
    engine = config.engine
    return Patience(stall=engine.stall_timeout, hang=engine.hang_timeout, interval=engine.probe_interval)


async def until_listening(client: Client, process: Process, patience: Patience) -> Cause | None:
    """Poll ``/health`` until it answers 200 (None), or return why not. Until then connections are refused."""
    quiet_cpu, quiet_since = 0.0, time.monotonic()
    while True:
        try:
            await client.get("/health", timeout=_HEALTH_TIMEOUT)
        except (EngineError, Busy):
            pass
        else:
            return None
        await asyncio.sleep(_HEALTH_EVERY)
        now = time.monotonic()
        quiet_since = max(quiet_since, process.last_output)
        if now - quiet_since > patience.stall:
            cpu = process.cpu_seconds()
            if cpu - quiet_cpu < 1.0:
                return STALLED
            quiet_cpu, quiet_since = cpu, now


async def first_answer(client: Client, task: Task, served_name: str, kv_tokens: int) -> Capacity:
    """One token (or one embedding) through the whole engine, then its limits. Raises EngineError."""
    await _one_token(client, task, served_name, _FIRST_TOKEN_SECONDS)
    models = orjson.loads(await client.get("/v1/models"))
    return Capacity(max_model_len=int(models["data"][0].get("max_model_len") or 0), kv_tokens=kv_tokens)


async def until_unhealthy(
    client: Client,
    process: Process,
    patience: Patience,
    busy: Callable[[], bool],
) -> Cause:
    """Watch a ready engine; returns only when it must be killed. ``EngineProcess.wait`` sees it die.

    ``busy`` returns whether requests run. Cancel this when the engine stops.
    """
    silence = _Silence(client.bytes_read, time.monotonic())
    asked = silence.since
    while True:
        await asyncio.sleep(patience.interval)
        now = time.monotonic()
        if busy():
            asked = now
        elif now - asked >= patience.idle_interval:
            asked = now
            limit = max(_IDLE_TOKEN_SECONDS, patience.hang)
            try:
                await _one_token(client, process.spec.task, process.spec.served_name, limit)
            except Busy:
                pass
            except EngineError:
                if not busy():
                    return HUNG
        if not busy() or client.bytes_read != silence.bytes_read:
            silence = _Silence(client.bytes_read, now)
        elif now - silence.since >= patience.hang / 2 and await _worse(silence, client, process, patience):
            return HUNG


@dataclass(slots=True)
class _Silence:
    """Requests run and no byte came since."""

    bytes_read: int
    since: float
    marks: bytes | None = None
    # Reading all of /proc takes milliseconds in which no token passes: only once there is a suspicion.
    cpu: float = 0.0
    looked: float = 0.0


async def _worse(silence: _Silence, client: Client, process: Process, patience: Patience) -> bool:
    """True when the engine shows no sign of work, and makes no token when asked for one.

    Signs of work: a long prefill sends no bytes, but takes KV blocks and CPU time.
    """
    now = time.monotonic()
    try:
        marks = b"".join(_MARKS.findall(await client.get("/metrics", timeout=_HEALTH_TIMEOUT)))
    except (EngineError, Busy):
        marks = silence.marks or b""
    if marks != silence.marks:
        if silence.marks is not None:
            silence.since = now
        silence.marks, silence.cpu, silence.looked = marks, process.cpu_seconds(), now
        return False
    quiet = now - silence.since
    if quiet < patience.hang:
        return False
    if quiet <= patience.hang * _BUSY_WITHOUT_PROGRESS and _working(silence, process):
        return False
    # Its gauges don't show whether it has anything to do: those of a stopped core stay as they were.
    silence.cpu, silence.looked = process.cpu_seconds(), time.monotonic()
    least, most = _SUSPECT_TOKEN_SECONDS
    try:
        spec = process.spec
        await _one_token(client, spec.task, spec.served_name, min(max(patience.hang, least), most))
    except Busy:
        return False
    except EngineError:
        moved = client.bytes_read != silence.bytes_read
        return not moved and (quiet > patience.hang * _BUSY_WITHOUT_PROGRESS or not _working(silence, process))
    return False


def _working(silence: _Silence, process: Process) -> bool:
    """Whether the engine has used CPU time since the last check."""
    return process.cpu_seconds() - silence.cpu > _WORKING_SHARE * (time.monotonic() - silence.looked)


async def _one_token(client: Client, task: Task, served_name: str, seconds: float) -> None:
    if task == "embed":
        await client.call("/v1/embeddings", {"model": served_name, "input": "a"}, timeout=seconds)
    else:
        body = {"model": served_name, "prompt": [1], "max_tokens": 1, "temperature": 0}
        await client.call("/v1/completions", body, timeout=seconds)
