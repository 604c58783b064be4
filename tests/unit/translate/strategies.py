"""Random answers for the tests of the writers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from vllama.translate.pieces import Ending, Piece, ToolCall

TEXT = st.text(min_size=1, max_size=8)


@st.composite
def answers(draw: st.DrawFn) -> list[Piece]:
    """Pieces as a reader of engine streams may give them: mixed texts, calls numbered in order."""
    pieces, calls = [], 0
    for kind in draw(st.lists(st.sampled_from(("text", "thinking", "both", "call", "text+call", "empty")), max_size=8)):
        call: tuple[ToolCall, ...] = ()
        if "call" in kind:
            arguments = draw(st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1) | TEXT, max_size=2))
            call = (ToolCall(f"call_{calls}", calls, draw(TEXT), arguments),)
            calls += 1
        content = draw(TEXT) if kind in {"text", "both", "text+call"} else ""
        pieces.append(Piece(content, draw(TEXT) if kind in {"thinking", "both"} else "", call))
    return pieces


@st.composite
def batches(draw: st.DrawFn, pieces: list[Piece]) -> list[list[Piece]]:
    """The same pieces cut into the lists in which they arrive."""
    cuts = sorted(draw(st.sets(st.integers(0, len(pieces)), max_size=4)))
    edges = [0, *cuts, len(pieces)]
    return [pieces[a:b] for a, b in pairwise(edges)]


FINALS = st.builds(
    Ending, st.sampled_from(("stop", "length")), st.integers(0, 99), st.integers(0, 99), st.sampled_from((0, 16))
)
