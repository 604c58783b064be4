"""Passwords in addresses are for programs, not for people: they are left out of every message and log line. Pure."""

from __future__ import annotations

import re
from typing import Final

_LOGIN: Final = re.compile(r"""(?<=://)[^/\s"'<>`]+@""")


def without_passwords(text: str) -> str:
    """``https://user:password@host/path`` becomes ``https://***@host/path``."""
    return _LOGIN.sub("***@", text) if "@" in text and "://" in text else text
