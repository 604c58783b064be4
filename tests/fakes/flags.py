"""vLLM's command line: every flag it knows is accepted, and an unknown one is refused in its words."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

_TABLE = Path(__file__).with_name("vllm_flags.txt")
_NARGS = {"one": None, "many": "*"}


def parser() -> argparse.ArgumentParser:
    """An argument parser with all the flags of vLLM 0.32; only a few mean something to the fake."""
    made = argparse.ArgumentParser(
        prog="vllm", description="vLLM OpenAI-Compatible RESTful API server.", allow_abbrev=False
    )
    made.add_argument("model_tag", nargs="?", help=argparse.SUPPRESS)
    for line in _TABLE.read_text().splitlines():
        if line.startswith("#"):
            continue
        head, _, choices = line.partition(" = ")
        takes, *spellings = head.split()
        if takes == "none":
            made.add_argument(*spellings, action="store_true")
        else:
            made.add_argument(*spellings, nargs=_NARGS[takes], choices=choices.split() or None)
    return made


def known() -> list[str]:
    """All spellings of all flags."""
    return [
        word for line in _TABLE.read_text().splitlines() for word in line.partition(" = ")[0].split() if word[0] == "-"
    ]


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse as vLLM does: dashes and underscores are the same, ``--a.b value`` sets a key of the JSON flag ``--a``.

    Leaves the process with status 2 and ``vllm: error: unrecognized arguments: ...`` like argparse does.
    """
    return parser().parse_args([_spelling(word) for word in argv])


def _spelling(word: str) -> str:
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    flag = re.sub(r"\..*", "", flag).replace("_", "-")
    return flag + equals + value
