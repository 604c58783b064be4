from __future__ import annotations

import pytest

from tests.unit.bench.made import PAIR, leg, record
from vllama.bench.gate import GateVerdict
from vllama.bench.record import from_json, to_json
from vllama.bench.tables import against, errors, memories, milliseconds, speeds, waits
from vllama.errors import BadRequest


def test_a_kept_measurement_is_read_as_it_was():
    made = record(*PAIR, verdicts=(GateVerdict("a", "b", "c", met=True),), unlike=("bits",))
    assert from_json(to_json(made)) == made


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"measured_at": 3}'])
def test_what_is_no_measurement_is_reported(data):
    with pytest.raises(BadRequest, match="not a measurement of vllama bench"):
        from_json(data)


def test_unlike_work_is_said():
    made = record(leg("ours", 0.1, tokens=64), leg("theirs", 0.1, tokens=40), unlike=("ours and theirs: bits",))
    assert made.notes() == [
        "not the same: ours and theirs: bits",
        "1 clients: tokens in an answer: theirs 40, ours 64",
    ]
    assert record(leg("ours", 0.1, tokens=64), leg("theirs", 0.1, tokens=63)).notes() == []


def test_tables_have_as_many_words_as_heads():
    made = record(*PAIR)
    for head, rows in (speeds(made.rows), waits(made.rows), against(made.ratios, "ours"), memories(made.memory)):
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_a_target_of_half_the_speed_is_shown_as_such():
    _, rows = against(record(*PAIR).ratios, "ours")
    assert [row[:3] for row in rows] == [["1", "theirs", "0.500"], ["4", "theirs", "0.500"]]


def test_equal_errors_are_counted():
    assert errors(PAIR) == {}


@pytest.mark.parametrize(("seconds", "text"), [(0.00123, "1.23 ms"), (0.0123, "12.3 ms"), (1.5, "1,500 ms")])
def test_times_have_the_digits_that_say_something(seconds, text):
    assert milliseconds(seconds) == text
