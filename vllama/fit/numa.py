"""Reads how much memory a NUMA node has left."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_NODES: Final = Path("/sys/devices/system/node")
_AVAILABLE: Final = frozenset({"MemFree", "Active(file)", "Inactive(file)", "SReclaimable"})
"""What vLLM counts of a node's memory as available."""


def node_available(core: int, nodes: Path = _NODES) -> int | None:
    """Bytes that can be taken on the NUMA node of ``core``; None if the kernel reports no nodes.

    vLLM binds an engine to the node of its first core, and its memory strictly with it.
    """
    try:
        node = next((one for one in sorted(nodes.glob("node[0-9]*")) if (one / f"cpu{core}").exists()), None)
        text = (node / "meminfo").read_text() if node is not None else ""
    except OSError:
        return None
    lines = (line.split() for line in text.splitlines())
    found = [int(words[3]) << 10 for words in lines if len(words) == 5 and words[2].rstrip(":") in _AVAILABLE]
    return sum(found) if found else None
