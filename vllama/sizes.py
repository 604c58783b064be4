"""How sizes look to people: as in Ollama's command. Pure."""

from __future__ import annotations

from typing import Final

_BYTE_UNITS: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


def human_bytes(size: int) -> str:
    """Decimal units, one digit after the point below ten: ``3.7 MB``, ``19 GB``, ``812 B``."""
    for scale, unit in _BYTE_UNITS:
        if size >= scale:
            value = size / scale
            whole = value >= 10 or value == int(value)
            return f"{int(value)} {unit}" if whole else f"{value:.1f} {unit}"
    return f"{size} B"
