"""Metrics of what an administrator looks after: room on the disks, files of API keys, the limit of the queue."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.config.keys import KeyRing
from vllama.disk import Reads

_PATIENCE: Final = 1.0
"""Seconds that a scrape waits for a disk; one that does not answer is left out."""


class Upkeep(Collector):
    """``look`` reads the disks and the keys; ``collect`` says what was found."""

    def __init__(
        self, directories: Mapping[str, Path], keys: Callable[[], KeyRing], max_queue: Callable[[], int]
    ) -> None:
        """``directories``: by the name that they have in the metrics. The others return what applies now."""
        self._directories = dict(directories)
        self._keys = keys
        self._max_queue = max_queue
        self._reads = Reads()
        self._room: dict[str, tuple[int, int]] = {}
        """Free and all bytes."""

    async def look(self) -> None:
        """Read what may have changed, in threads."""
        await self._keys().look()
        self._room = {}
        for name, place in self._directories.items():
            with suppress(OSError):  # a TimeoutError, too
                found = await self._reads.done(name, partial(os.statvfs, place), _PATIENCE)
                self._room[name] = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        free = GaugeMetricFamily("vllama_disk_free_bytes", "Free on the disk of a directory.", labels=("directory",))
        size = GaugeMetricFamily("vllama_disk_size_bytes", "Size of the disk of a directory.", labels=("directory",))
        for name, (bytes_free, bytes_in_all) in self._room.items():
            free.add_metric((name,), bytes_free)
            size.add_metric((name,), bytes_in_all)
        yield from (free, size)
        yield GaugeMetricFamily(
            "vllama_keys_files_broken", "Files of API keys that can't be read.", value=self._keys().broken
        )
        yield GaugeMetricFamily(
            "vllama_requests_waiting_limit", "Requests that may wait for models.", value=self._max_queue()
        )
