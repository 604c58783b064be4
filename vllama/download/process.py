"""Starts the child that speaks with the hub, and reads its answer.

It can be stopped at any moment, and what it fetched is kept. So the hub's library takes no memory of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import orjson

from vllama import child
from vllama.download.messages import REGISTRY, HubTask, error_of
from vllama.errors import PullFailed
from vllama.install.registry import Registry
from vllama.models.sources import Source

_LOG: Final = logging.getLogger("vllama.download")
_LONGEST_LINE: Final = 64 << 20
_LEAVE_SECONDS: Final = 5.0
_DOING: Final[Mapping[HubTask, str]] = {"fetch": "fetching", "describe": "asking the hub for"}


async def run_child(
    task: HubTask,
    source: Source,
    registry: Registry,
    environ: Mapping[str, str],
    heard: Callable[[Mapping[str, Any]], None] = lambda _: None,
    **more: str,
) -> Any:
    """The child's answer; ``heard`` gets the lines before it. Raises what the child did, PullFailed if it breaks off.

    ``environ``: the service's, which holds the hub's own settings (HF_TOKEN, HF_ENDPOINT ...). ``more``: what the
    task needs besides.
    """
    process = await asyncio.create_subprocess_exec(
        *child.module("vllama.download.child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **child.start(_hub_environment(environ)),
        limit=_LONGEST_LINE,
        start_new_session=True,  # a Ctrl-C at the terminal is ours to answer
    )
    stdin = cast("asyncio.StreamWriter", process.stdin)
    stdout, stderr = (cast("asyncio.StreamReader", pipe) for pipe in (process.stdout, process.stderr))
    errors = asyncio.create_task(stderr.read())
    try:
        wanted = {
            **more,
            "task": task,
            "source": str(source),
            "registry": REGISTRY.dump_python(registry, mode="json"),
            "secrets": child.secrets_in(environ),
        }
        stdin.write(orjson.dumps(wanted) + b"\n")
        async for line in stdout:
            match orjson.loads(line):
                case {"answer": answer}:
                    return answer
                case {"failed": failed}:
                    raise error_of(failed)
                case said:
                    heard(said)
        broken = (await errors).decode("utf-8", "replace").strip()
        _LOG.error("%s %s broke off: %s", _DOING[task], source, broken)
        raise PullFailed(f"{_DOING[task]} {source} broke off: {broken.rpartition(chr(10))[2] or 'no reason given'}")
    finally:
        stdin.close()  # the child leaves when its input ends
        await _end(process)
        errors.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _hub_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the hub's library: no telemetry, and plain HTTP, because only that can go on where it stopped.

    Without secrets, because all programs of our user can read a child's environment. Secrets go to its standard input.
    """
    own = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    return {**own, **child.without_secrets(environ)}
