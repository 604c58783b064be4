"""How long a model stays loaded, as it is written on the command line."""

from __future__ import annotations

import re

import click

from vllama.durations import read_go_duration


def keep_alive(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The callback of an option: ``forever``, seconds or a duration, as the API's ``keep_alive`` takes it."""
    text = "-1s" if value == "forever" else f"{value}s" if re.fullmatch(r"-?\d+", value, re.ASCII) else value
    if text and read_go_duration(text) is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 30m, 1h30m or 'forever'")
    return text
