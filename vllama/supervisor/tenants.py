"""Which of our processes hold the machine's memory, and which are unloaded when another needs it. Pure.

A tenant is anything of ours with a process that holds memory: an engine yields one (``states.EngineState.tenant``). The
planner counts what tenants hold (``occupancy``), and ``room`` chooses among them, without knowing what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Tenant:
    """One process that holds memory. All sizes are bytes."""

    key: str
    """Names it in events and actions."""
    size: int
    """All that it was planned with."""
    pid: int | None = None
    """Its process; None: it has none, or no longer."""
    size_vram: int = 0
    """What of ``size`` is memory of GPUs."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it lives on."""
    lazy: int = 0
    """What of ``size`` is taken only as it is filled: a KV cache in RAM."""
    asleep: int = 0
    """What it keeps while it sleeps, of the GPUs or of RAM; 0: it can't sleep."""
    sleeping: bool = False
    loading: bool = False
    """It still takes memory, up to its size."""
    pinned: bool = False
    """It is never evicted, so its memory never comes back."""
    used_at: float = 0.0
    """When its last use ended, in monotonic seconds; ``inf`` while it is in use."""
    settled_at: float = -inf
    """Since when it is ready; ``-inf`` where that does not matter."""

    @property
    def held(self) -> int:
        """What it counts for now, and what is free once it is gone."""
        return self.asleep if self.sleeping else self.size

    @property
    def busy(self) -> bool:
        """Whether requests use it."""
        return self.used_at == inf


def choose_victims(tenants: Sequence[Tenant], missing: int, now: float, min_residence: float) -> tuple[str, ...]:
    """The tenants to evict so that ``missing`` bytes become free: least recently used idle ones first, busy ones last.

    A tenant must have been ready for ``min_residence``; pinned ones are not among the candidates. If all together would
    not free enough, none is chosen. A tenant whose memory is not needed stays loaded: a small one stays if a big one
    must be unloaded anyway. A busy one is asked to yield: it finishes its answers and takes no new ones.
    """
    ripe = [tenant for tenant in tenants if now - tenant.settled_at >= min_residence]
    chosen: list[Tenant] = []
    for tenant in sorted(ripe, key=lambda t: (t.busy, t.used_at)):
        if missing <= 0:
            break
        chosen.append(tenant)
        missing -= tenant.held
    if missing > 0:
        return ()
    for tenant in reversed(chosen):  # the most recently used one is spared first
        if missing + tenant.held <= 0:
            chosen.remove(tenant)
            missing += tenant.held
    return tuple(tenant.key for tenant in chosen)
