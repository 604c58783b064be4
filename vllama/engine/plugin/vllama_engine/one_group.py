"""An engine of one rank makes do with one process group, instead of a dozen.

vLLM makes groups for each way of splitting a model, also where there is nothing to split. On a CPU each is one of
gloo's, whose thread wakes up a hundred times a second, as long as the engine lives: 0.12 % of a core each. With one
rank all groups have the same only member, so the first of them can stand for all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "torch.distributed"
_BACKEND = "gloo"


def apply(module: ModuleType) -> None:
    """Return the default group in place of each new one, and destroy it only with all others."""
    distributed: Any = module
    try:
        make: Callable[..., Any] = distributed.new_group
        destroy: Callable[..., None] = distributed.destroy_process_group
        groups, get_backend, get_world_size = distributed.group, distributed.get_backend, distributed.get_world_size
    except AttributeError as error:
        raise Unfit(f"this torch makes process groups in another way ({error})") from error

    def alone(backend: str | None) -> bool:
        return backend in {None, _BACKEND} and get_world_size() == 1 and get_backend() == _BACKEND

    @functools.wraps(make)
    def new_group(ranks: Any = None, timeout: Any = None, backend: str | None = None, **kwargs: Any) -> Any:
        if alone(backend):
            return groups.WORLD
        return make(ranks, timeout, backend, **kwargs)

    @functools.wraps(destroy)
    def destroy_process_group(group: Any = None) -> None:
        if group is None or group is not groups.WORLD or not alone(None):
            destroy(group)

    distributed.new_group = new_group
    distributed.destroy_process_group = destroy_process_group
