"""Keeps a log readable while the same thing happens a thousand times: one line a minute, with the number left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

_PAUSE: Final = 60.0
_MOST_KINDS: Final = 100


class Seldom:
    """Writes to a logger, each kind of line at most once in ``pause`` seconds."""

    def __init__(
        self, log: logging.Logger, *, pause: float = _PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._pause = pause
        self._clock = clock
        self._kinds: dict[str, tuple[float, int]] = {}
        """When each kind was last written, and how many were left out since."""

    def warn(self, kind: str, text: str, *values: object) -> None:
        """A warning, unless one of this ``kind`` was written a moment ago."""
        now = self._clock()
        last, left_out = self._kinds.get(kind, (-self._pause, 0))
        if now - last < self._pause:
            self._kinds[kind] = (last, left_out + 1)
            return
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if left_out:
            text, values = f"{text} (and %d more like this)", (*values, left_out)
        self._log.warning(text, *values)
