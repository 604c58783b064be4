from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.tracebacks import Tracebacks, is_traceback

TRACE = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    f()", "ValueError: no"]


def fold(lines):
    tracebacks = Tracebacks()
    return [text for line in lines for text in tracebacks.feed(line)] + tracebacks.rest()


def test_a_traceback_is_one_record_between_the_lines_around_it():
    assert fold(["before", *TRACE, "after"]) == ["before", "\n".join(TRACE), "after"]


def test_the_prefix_of_a_process_is_taken_off():
    assert fold([f"(EngineCore pid=7) {line}" for line in TRACE]) == ["\n".join(TRACE)]


def test_two_processes_that_die_at_once_are_kept_apart():
    first = [f"(Worker pid=1) {line}" for line in TRACE]
    second = [f"(Worker pid=2) {line}" for line in TRACE]
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    assert fold(mixed) == ["\n".join(TRACE)] * 2


def test_a_chain_of_exceptions_is_reported_in_its_parts():
    link = "The above exception was the direct cause of the following exception:"
    reported = fold([*TRACE, "", link, "", *TRACE])
    assert [is_traceback(text) for text in reported if text and text != link] == [True, True]


def test_a_traceback_that_the_pipes_end_cuts_off_is_reported():
    assert fold(TRACE[:2]) == ["\n".join(TRACE[:2])]


OTHERS = ["INFO hello", f"(EngineCore pid=7) {TRACE[0]}", "(EngineCore pid=7)   x", ""]


@given(st.lists(st.sampled_from([*TRACE, *OTHERS])))
def test_no_line_is_lost(lines):
    reported = "\n".join(fold(lines)).splitlines()
    bare = [line.removeprefix("(EngineCore pid=7) ") for line in lines]
    assert sorted(line.removeprefix("(EngineCore pid=7) ") for line in reported if line) == sorted(filter(None, bare))
