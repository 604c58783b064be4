"""Prompts of a wanted length, no two alike, the same words for every target. Pure.

How many tokens a word takes is the tokenizer's secret, so it is measured first (``targets.calibrate``) and handed in as
``tokens_per_word``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LENGTHS: Final[Mapping[str, tuple[int, ...]]] = {
    "short": (50,),
    "medium": (200,),
    "long": (500,),
    "mixed": (50, 200, 500),
}
"""Tokens of a prompt by the name of its kind; of several, requests take one after the other."""

_VOCABULARY: Final = """
time year people way day man thing woman life child world school state family student group country problem hand
part place case week company system program question work number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father
power hour game line end member law car city name team minute idea body back parent face level office door
health person art war history party result change morning reason research girl guy moment air teacher force
"""
_WORDS: Final = _VOCABULARY.split()
_TASK: Final = "Write a long story with these words."


@dataclass(frozen=True, slots=True)
class Prompts:
    """A kind of prompts. ``text`` is a pure function of its seed, so every target gets the same words."""

    lengths: tuple[int, ...] = LENGTHS["short"]
    """Tokens of the user's text; request number n takes entry n."""
    system: int = 0
    """Tokens of a system prompt that all requests share; 0: none."""
    tokens_per_word: float = 1.0
    """Of the targets' tokenizer."""
    salt: str = ""
    """Different for each measurement, because servers cache the beginnings of prompts that they have seen."""

    def text(self, seed: str, number: int, turned: int = 0) -> str:
        """The user's text of request ``number`` in the leg that ``seed`` names; it begins like no other one.

        ``turned``: this many words move from the beginning to the end. Targets that share an engine are asked the same
        words, but must not find each other's prompts in its KV cache.
        """
        wanted = self.lengths[number % len(self.lengths)]
        count = self._words(wanted) - len(_TASK.split())
        found = words(max(count, 1), f"{self.salt}/{seed}/{number}").split()
        turned %= len(found)
        return f"{' '.join(found[turned:] + found[:turned])}. {_TASK}"

    def system_text(self, seed: str = "system") -> str:
        """The shared system prompt; empty without one."""
        return words(self._words(self.system), f"{self.salt}/{seed}") if self.system else ""

    def _words(self, tokens: int) -> int:
        return max(1, round(tokens / self.tokens_per_word))


def words(count: int, seed: str) -> str:
    """``count`` English words in an order that depends on ``seed`` from the first word on."""
    state = zlib.crc32(seed.encode())
    found = []
    for _ in range(count):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF  # Numerical Recipes' generator: random enough for this
        found.append(_WORDS[(state >> 16) % len(_WORDS)])
    return " ".join(found)
