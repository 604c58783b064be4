"""Texts of several blocks as one text, without losing a word or the boundary between two blocks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_BILLING: Final = "x-anthropic-billing-header:"
# ``cc_version=2.1; cc_entrypoint=cli; cch=1a2b3;``
_PAIRS: Final = re.compile(r"(?:[ \t]*[\w.-]+=[^;\s]*(?:;|(?=\s)|\Z))+")
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")


def joined(texts: Iterable[str]) -> str:
    """The texts, each on a line of its own, unless there is white space between two of them already."""
    out: list[str] = []
    for text in filter(None, texts):
        if out and not out[-1][-1].isspace() and not text[0].isspace():
            out.append("\n")
        out.append(text)
    return "".join(out)


def without_billing(text: str) -> str:
    """A system text without the billing header that Claude Code puts first.

    It says nothing to the model, and a part of it changes with each request, so that no prompt after it would be found
    in the prefix cache. vLLM drops the whole first line of a system text that begins so; what stands behind the header
    in its line is kept here.
    """
    at = 0
    while text.startswith(_BILLING, at):
        at += len(_BILLING)
        if pairs := _PAIRS.match(text, at):
            at = pairs.end()
        else:
            line_end = text.find("\n", at)
            at = len(text) if line_end < 0 else line_end + 1
        if blanks := _BLANKS.match(text, at):
            at = blanks.end()
    return text[at:] if at else text
