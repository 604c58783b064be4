"""Reads from a start's log whether compiled code was loaded, made or kept, and why it was made again. Pure.

Source: the lines of vLLM 0.32 and torch 2.13, and those of our plugin (``vllama_engine.compile_news``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

CodeOutcome = Literal["", "loaded", "compiled", "again", "unkept"]
"""How a start got its code. ``again``: what was kept could not be used. ``unkept``: the next start compiles, too.
Empty: the model is not compiled at all, or nothing was said yet."""

ROOM: Final = 200 << 20
"""Bytes of free disk below which nothing is kept: a model of 30 layers writes some 30 MB."""
_CLIP: Final = 300
_LOADING = re.compile(r"loading compiled code from (\S.*)")
_MAKING = re.compile(r"compiling: no code is kept in (\S.*)")
_AGAIN = re.compile(r"Compiling model again due to a load failure from (\S.*?), reason: (.*)")
_LOADED = re.compile(r"Directly load AOT compilation from path (\S.*)|Directly load the compiled graph\(s\)")
_MADE_PART = re.compile(r"Starting torch\.compile$|Compiling a graph for compile range")
_DONE = re.compile(r"Warming up done|Initial profiling/warmup run took|KV cache size:")
_SAVED = re.compile(r"saved AOT compiled function to (\S.*)")
_UNSAVED = re.compile(r"unable to save AOT compiled function to (\S.*?): (.*)")
_FOLDER = re.compile(r"Using cache directory: (\S.*) for vLLM's torch\.compile")
_DISABLED = re.compile(r"vLLM's torch\.compile cache is disabled")
# torch's messages: a part is compiled again, or is not kept.
_PART_AGAIN = re.compile(
    r"fx graph cache unable to load compiled graph|Ignoring corrupt local cache entry|Ignoring unreadable startup plan"
)
_PART_UNSAVED = re.compile(
    r"fx graph unable to write to cache|(?:fx graph|AOTAutograd) cache unable to serialize compiled graph"
)


@dataclass(slots=True)
class CompilationReport:
    """The report of one start; feed it every line's text."""

    code: Literal["", "loaded", "compiled"] = ""
    doing: str = ""
    """What people read while it lasts: ``loading compiled code``, ``compiling``; empty if it does neither."""
    again: str = ""
    """Why code that was kept could not be used."""
    unkept: str = ""
    """Why what was compiled is not kept: the next start compiles again."""
    folders: tuple[str, ...] = ()
    """Where the code is; when a start dies while it is ``doing`` something, the last one may be at fault."""

    def feed(self, text: str) -> bool:
        """Returns true when a line begins something else."""
        before = self.doing
        if match := _LOADING.search(text):
            self.doing = "loading compiled code"
            self._note(match[1])
        elif match := _MAKING.search(text):
            self._make("compiling", match[1])
        elif match := _AGAIN.search(text):
            self.again = self.again or _clipped(match[2])
            self._make("compiling again", match[1])
        elif _MADE_PART.search(text):
            self._make(self.doing if self.doing.startswith("compiling") else "compiling")
        elif match := _LOADED.search(text):
            self.code = self.code or "loaded"
        elif match := _SAVED.search(text):
            self._note(match[1])
        elif match := _UNSAVED.search(text):
            self.unkept = self.unkept or _clipped(match[2])
        elif match := _FOLDER.search(text):
            self._note(match[1].split("/rank_")[0] + "/rank/code")
        elif _DISABLED.search(text):
            self.unkept = self.unkept or "a setting of this model disables vLLM's cache"
        elif match := _PART_AGAIN.search(text):
            self.again = self.again or _clipped(match[0])
        elif match := _PART_UNSAVED.search(text):
            self.unkept = self.unkept or _clipped(match[0])
        elif _DONE.search(text):
            self.doing = ""
        return self.doing not in {"", before}

    def _make(self, doing: str, artifact: str = "") -> None:
        self.doing, self.code = doing, "compiled"
        self._note(artifact)

    def _note(self, artifact: str) -> None:
        """``…/<key>`` of ``…/<key>/rank_0_0/model``."""
        folder = artifact.strip().rpartition("/")[0].rpartition("/")[0]
        if folder and folder not in self.folders:
            self.folders = (*self.folders, folder)

    @property
    def outcome(self) -> CodeOutcome:
        """The report in one word."""
        return "unkept" if self.unkept else "again" if self.again else self.code

    @property
    def fault(self) -> str:
        """What was thrown away or done twice, as one clause; empty where nothing was."""
        if self.unkept:
            return f"what it compiled can't be kept ({self.unkept})"
        return f"what was kept can't be used ({self.again})" if self.again else ""


@dataclass(frozen=True, slots=True)
class CodeStart:
    """How the last start of a model with certain settings got its code (``engine.kept_code`` keeps it)."""

    model: str
    outcome: CodeOutcome
    fault: str = ""
    """What was thrown away or done twice; empty where nothing was."""
    at: float = 0.0
    """Unix seconds."""


def _clipped(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _CLIP else first[: _CLIP - 1] + "…"
