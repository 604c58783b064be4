"""The date that a template may put into a prompt."""

from __future__ import annotations

from datetime import date, datetime


def today() -> date:
    """By this machine's own time zone."""
    return datetime.now().astimezone().date()
