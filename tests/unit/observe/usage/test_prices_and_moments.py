"""What a request costs, and which time the bounds of a report mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.caller import NOBODY
from vllama.config.schema import Config
from vllama.observe.spent import Spent
from vllama.observe.usage.moments import read_moment
from vllama.observe.usage.prices import PriceList

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
SPENT = Spent(
    NOBODY, "/api/chat", "qwen3:latest", 200, 3602.0, waiting=2.0, machine_seconds=1800.0,
    prompt_tokens=1_000_000, cached_tokens=400_000, generated_tokens=500_000,
)  # fmt: skip
QWEN3 = {"qwen3": {"input": 1, "cached": 0.5, "output": 4}}


def cost(prices, spent=SPENT, joules=None):
    return PriceList(Config.model_validate({"prices": prices}).prices).cost(spent, joules)


@pytest.mark.parametrize(
    ("prices", "joules", "expected"),
    [
        ({}, 7.2e6, None),
        ({"models": QWEN3}, None, 0.6 + 0.2 + 2.0),
        ({"models": {"qwen3": {"input": 1, "output": 4}}}, None, 3.0),
        ({"models": QWEN3, "kwh": 1, "hour": 1}, 7.2e6, 2.8),
        ({"others": {"output": 2}}, None, 1.0),
        ({"models": {"other": {"output": 2}}, "hour": 3}, None, 1.5),
        ({"kwh": 0.3}, 7.2e6, 0.6),
        ({"kwh": 0.3}, None, None),
        ({"kwh": 0.3, "hour": 3}, 7.2e6, 2.1),
    ],
)
def test_tokens_are_paid_by_the_model_else_the_machine_by_time_and_energy(prices, joules, expected):
    found = cost(prices, joules=joules)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_a_request_that_reached_no_engine_has_no_cost_of_time():
    assert cost({"hour": 3}, replace(SPENT, waiting=None, machine_seconds=None)) is None


@given(st.dates(date(1971, 1, 1), date(9998, 12, 31)))
def test_a_day_and_a_month_reach_from_their_first_second_to_their_last(day):
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    assert read_moment(f"{day}", NOW) == begin
    assert read_moment(f"{day}", NOW, end=True) == begin + 86400
    month = f"{day}"[:7]
    assert read_moment(month, NOW) <= begin < read_moment(month, NOW, end=True)


@given(st.text(alphabet="0123456789-hdw.: T", max_size=14) | st.text(max_size=14))
def test_any_text_is_a_moment_or_a_clear_error(text):
    try:
        found = read_moment(text, NOW)
    except ValueError as error:
        found, said = 0.0, str(error)
    else:
        said = "is n"
    assert 0 <= found < 253402300801 or text[:4] < "1970"
    assert said.startswith("is n")


def test_a_time_ago_counts_from_now():
    assert read_moment("7d", NOW) == NOW - 7 * 86400
    assert read_moment("99999w", NOW) == 0
