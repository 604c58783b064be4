"""Reads how much energy the processors have used, by the kernel's power capping interface (RAPL of Intel and AMD).

Only root may read it unless the machine says otherwise: the RPM has a rule for systemd-tmpfiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vllama.observe.joules import CPU, Counter

POWERCAP: Final = Path("/sys/class/powercap")
_MICRO: Final = 1e6


def read_rapl(root: Path = POWERCAP) -> dict[str, Counter]:
    """The meters of all packages, and of their memory where that has its own; empty where none can be read.

    ``core`` and ``uncore`` are parts of a package, and ``psys`` and ``intel-rapl-mmio`` show a package once more.
    """
    return dict(_meters(root))


def _meters(root: Path) -> Iterator[tuple[str, Counter]]:
    try:
        zones = sorted(root.glob("intel-rapl:*"))
    except OSError:
        return
    for zone in zones:
        try:
            name = (zone / "name").read_text().strip()
            if not name.startswith("package") and name != "dram":
                continue
            joules, most = (int((zone / of).read_text()) / _MICRO for of in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            continue
        yield zone.name, Counter(CPU, joules, most)
