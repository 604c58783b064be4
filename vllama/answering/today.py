"""The day that templates may tell a model."""

from __future__ import annotations

from datetime import date, datetime


def today() -> date:
    """By this machine's own time zone."""
    return datetime.now().astimezone().date()
