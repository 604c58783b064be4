"""Starts the child that speaks with the hub, and reads its answer.

It can be stopped at any moment, and what it fetched is kept. So the hub's library takes no memory of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vllama import child
from vllama.download.messages import REGISTRY, HubTask, error_of
from vllama.errand.parent import Hear, send
from vllama.errors import ErrandFailed
from vllama.install.registry import Registry
from vllama.models.sources import Source

_DOING: Final[Mapping[HubTask, str]] = {"fetch": "fetching", "describe": "asking the hub for"}


async def run_child(
    task: HubTask,
    source: Source,
    registry: Registry,
    environ: Mapping[str, str],
    hear: Hear = lambda _: None,
    **more: str,
) -> Any:
    """The child's answer; ``hear`` gets its progress. Raises what the child did, PullFailed if it breaks off.

    ``environ``: the service's, which holds the hub's own settings (HF_TOKEN, HF_ENDPOINT ...). ``more``: what the
    task needs as well.
    """
    order = {**more, "task": task, "source": str(source), "registry": REGISTRY.dump_python(registry, mode="json")}
    doing, secrets = f"{_DOING[task]} {source}", child.secrets_in(environ)
    try:
        return await send(
            "vllama.download.child", order, doing, hear, environ=_hub_environment(environ), secrets=secrets
        )
    except ErrandFailed as failed:
        raise error_of(failed) from failed


def _hub_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the hub's library: no telemetry, and plain HTTP, because only that can go on where it stopped.

    Without secrets, because all programs of our user can read a child's environment. Secrets go to its standard input.
    """
    own = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    return {**own, **child.without_secrets(environ)}
