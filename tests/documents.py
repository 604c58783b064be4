"""The code blocks of README.md and docs/*.md, as a reader would copy them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block between fences."""

    page: str
    """``README.md``, ``docs/cli.md``."""
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """For the name of a test."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a ``console`` block and what the page prints below it."""

    block: Block
    text: str
    printed: str

    @property
    def bare(self) -> str:
        """Without the remark at its end."""
        return re.sub(r"\s+#\s.*$", "", self.text)

    def words(self) -> list[list[str]]:
        """Each command of the line; redirections are left out."""
        lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "SUBSTITUTED", self.bare), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in (words := iter(lexer)):
            if set(word) <= set("<>"):
                next(words, None)
            elif set(word) <= set("|&;"):
                parts.append([])
            else:
                parts[-1].append(word)
        return parts


def blocks(page: Path) -> Iterator[Block]:
    """All of a page, in order."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(page.relative_to(ROOT)), line, found[1], found[2])


def commands(page: Path) -> Iterator[Command]:
    """All commands of a page's ``console`` blocks; a line that ends with a backslash goes on in the next one."""
    for block in blocks(page):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, printed = part.replace("\\\n", " ").partition("\n")
                yield Command(block, command.strip(), printed)
