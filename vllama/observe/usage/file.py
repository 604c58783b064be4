"""The file of the database: opened when it is needed, put aside when it is broken."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from vllama.observe.usage import table

_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BESIDE: Final = ("-wal", "-shm")
"""How the names of the files end that SQLite keeps next to it."""


class File:
    """Belongs to the thread that writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = ""
        """Name of the last file that was put aside."""
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def told(self) -> str:
        """What an administrator must know of a file that was put aside, until it is removed."""
        if not self._aside or not self.path.with_name(self._aside).exists():
            return ""
        return f"the file of the usage was broken; it is kept as {self._aside}, and a new one has begun"

    @property
    def is_open(self) -> bool:
        """Is there something to tidy?"""
        return self._connection is not None

    def opened(self) -> sqlite3.Connection:
        """Open it if it is not. Raises sqlite3.Error, OSError."""
        if self._connection is None:
            self._connection = table.opened(self.path)
            self._inode = self.path.stat().st_ino
        return self._connection

    def renewed(self) -> None:
        """Notice that somebody removed the file or put another one in its place."""
        if self._connection is None:
            return
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                return
        self.close()

    def put_aside(self, error: Exception) -> bool:
        """Rename a file that is broken or of another version; false where the error means something else."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if not isinstance(error, table.OtherVersion) and code not in _BROKEN:
            return False
        self.close()
        name = f"{self.path.name}.broken-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
        try:
            self.path.replace(self.path.with_name(name))
        except OSError:
            return False
        for end in _BESIDE:
            with suppress(OSError):
                self.path.with_name(self.path.name + end).replace(self.path.with_name(name + end))
        self._aside = name
        return True

    def close(self) -> None:
        """Close it; what is written is safe before."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
