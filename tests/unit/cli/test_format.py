"""Numbers, times and tables, spelled as Ollama's command spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.cli import format as fmt

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (7_615_616_512, "7.6B"),
        (70_553_706_496, "70.6B"),
        (334_092_288, "334.09M"),
        (1_860_000, "1.86M"),
        (512_000, "512K"),
        (7, "7"),
    ],
)
def test_parameter_counts_follow_the_contract(number: int, shown: str) -> None:
    assert fmt.human_count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (1.6 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (61 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (731 * DAY, "2 years"),
    ],
)
def test_durations_are_rough_words(seconds: float, shown: str) -> None:
    assert fmt.human_duration(seconds) == shown


@pytest.mark.parametrize(
    ("ahead", "shown"),
    [
        (-120, "2 minutes ago"),
        (0, "Less than a second ago"),
        (4 * MINUTE + 50, "4 minutes from now"),
        (21 * 365 * DAY, "Forever"),
        (float("inf"), "Forever"),
    ],
)
def test_times_are_reported_from_now(ahead: float, shown: str) -> None:
    assert fmt.human_time(1_000_000 + ahead, 1_000_000) == shown


def test_a_model_whose_time_is_past_is_stopping() -> None:
    assert fmt.until(99, 100) == "Stopping..."
    assert fmt.until(400, 100) == "5 minutes from now"


@pytest.mark.parametrize(
    ("size", "vram", "shown"),
    [
        (100, 100, "100% GPU"),
        (100, 0, "100% CPU"),
        (100, 75, "25%/75% CPU/GPU"),
        (0, 0, "Unknown"),
        (100, 101, "Unknown"),
    ],
)
def test_processor_says_where_a_model_lies(size: int, vram: int, shown: str) -> None:
    assert fmt.processor(size, vram) == shown


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0s"),
        (812, "812ns"),
        (1_500, "1.5µs"),
        (412_870_113, "412.870113ms"),
        (1_000_000_000, "1s"),
        (64_250_000_000, "1m4.25s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_725_000_000_001, "1h2m5.000000001s"),
    ],
)
def test_exact_durations_lose_no_digit(nanoseconds: int, shown: str) -> None:
    assert fmt.exact_duration(nanoseconds) == shown


def test_escape_sequences_and_controls_are_taken_out() -> None:
    assert fmt.clean("a\x1b[31mred\x07\r\x9b2J\x7f\tb\n") == "a[31mred2J\tb\n"
    assert fmt.clean("abc\u202edef\u2066") == "abcdef"
    assert fmt.clean("\ud800x") == "\ufffdx"


@given(st.text())
def test_clean_text_moves_no_cursor_and_can_be_encoded(text: str) -> None:
    cleaned = fmt.clean(text)
    cleaned.encode("utf-8")
    assert all(char >= " " or char in "\t\n" for char in cleaned)
    assert not any("\x7f" <= char <= "\x9f" for char in cleaned)
    assert fmt.clean(cleaned) == cleaned


def test_tables_are_left_aligned_with_four_spaces_between() -> None:
    assert fmt.table(["NAME", "SIZE"], [["mini:latest", "3.7 MB"], ["x", "19 GB"]]) == [
        "NAME           SIZE",
        "mini:latest    3.7 MB",
        "x              19 GB",
    ]


def test_an_empty_table_has_its_headers_only() -> None:
    assert fmt.table(["NAME", "ID"], []) == ["NAME    ID"]
    assert fmt.table([], []) == []
