"""How much a template may do before it is stopped. Pure."""

from __future__ import annotations

from typing import Final

from vllama.templates.faults import TemplateError

MAX_STEPS: Final = 500_000
"""Nodes evaluated and elements copied: a second or two of one core."""
MAX_CHARACTERS: Final = 64 << 20
"""Of all text that is made, the output and what functions give."""
REQUEST_CHARACTERS: Final = 8 << 20
"""The same for a template that came with a request."""
LIGHT_STEPS: Final = 10_000
"""What is done on the event loop: some 20 ms of one core ..."""
LIGHT_CHARACTERS: Final = 1 << 20
"""... and a millisecond."""
MAX_DEPTH: Final = 100
"""Blocks, templates and parentheses being run within each other."""
MAX_VALUE_DEPTH: Final = 100
"""Lists and maps within each other that are printed."""


class BudgetSpent(TemplateError):
    """The template does more than it may."""


class Budget:
    """What is left of the limits; every spending method raises TemplateError when nothing is."""

    __slots__ = ("_characters", "_steps", "depth")

    def __init__(self, *, steps: int = MAX_STEPS, characters: int = MAX_CHARACTERS) -> None:
        self._steps = steps
        self._characters = characters
        self.depth = 0

    def step(self, count: int = 1) -> None:
        """Account for ``count`` nodes or elements."""
        self._steps -= count
        if self._steps < 0:
            raise BudgetSpent("template: stopped, because it takes too many steps")

    def text(self, length: int) -> None:
        """Account for text before or after it is made."""
        self._characters -= length
        if self._characters < 0:
            raise BudgetSpent("template: stopped, because it makes too much text")

    def enter(self) -> None:
        """One level deeper; the caller lowers ``depth`` again."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TemplateError(f"template: stopped, because it runs more than {MAX_DEPTH} levels deep")
