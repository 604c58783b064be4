"""What engines told of their memory, remembered in ``<state>/measured.json``: the next plan counts with it.

A file that can't be read counts as empty, and one that can't be written is no fault: plans are only less exact then.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from vllama.fit.sums import Measured

_LOG = logging.getLogger("vllama.fit")
_MOST: Final = 500
"""Entries; the oldest are forgotten."""
_READER: Final = TypeAdapter(dict[str, Measured])


class Measurements:
    """Owner of the file. Its methods may be called from any thread."""

    def __init__(self, state: Path) -> None:
        self._place = state / "measured.json"
        self._lock = threading.Lock()
        self._known: dict[str, Measured] | None = None

    def find(self, key: str) -> Measured | None:
        """What was measured under ``key``: model, flags and device."""
        with self._lock:
            return self._read().get(key)

    def keep(self, key: str, measured: Measured) -> None:
        """Remember it, and write it down so that after a crash the old or the new file is there, whole."""
        with self._lock:
            known = self._read()
            if known.get(key) == measured:
                return
            known.pop(key, None)
            known[key] = measured
            while len(known) > _MOST:
                del known[next(iter(known))]
            values: dict[str, Any] = {name: asdict(value) for name, value in known.items()}
            new = self._place.with_suffix(".new")
            try:
                new.write_bytes(orjson.dumps(values, option=orjson.OPT_INDENT_2))
                new.replace(self._place)
            except OSError as error:
                _LOG.warning("can't remember what was measured: %s", error)

    def _read(self) -> dict[str, Measured]:
        if self._known is None:
            self._known = {}
            with suppress(OSError, ValidationError):
                self._known = _READER.validate_json(self._place.read_bytes())
        return self._known
