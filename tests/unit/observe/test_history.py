"""The last minutes as points: what counts in which of them."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.caller import NOBODY
from vllama.observe.history import KEPT, History, quantile
from vllama.observe.spent import Spent


def make_history(*views: object) -> History:
    return History(Mock(snapshot=lambda: views), wall=lambda: 1000.0)


def spent(seconds: float = 3.0, **rest) -> Spent:
    made = {"first_token": 1.0, "generated_tokens": 21, **rest}
    return Spent(NOBODY, "/api/chat", "tiny:latest", made.pop("status", 200), seconds, **made)


def test_a_point_has_the_rates_and_times_of_its_step():
    history = make_history(SimpleNamespace(waiting=2, leases=3), SimpleNamespace(waiting=0, leases=1))
    history.take(spent())
    history.take(spent(first_token=3.0, seconds=5.0))
    history.step()
    (point,) = history.points()
    assert (point.at, point.requests_per_second, point.tokens_per_second) == (1000, 0.2, 4.2)
    assert (point.waiting, point.running) == (2, 4)
    assert (point.ttft_p50, point.ttft_p95) == (2.0, pytest.approx(2.9))
    assert point.itl_p50 == pytest.approx(0.1)


def test_the_next_step_begins_with_nothing():
    history = make_history()
    history.take(spent())
    history.step()
    history.step()
    _, point = history.points()
    assert (point.requests_per_second, point.tokens_per_second, point.ttft_p50) == (0, 0, None)


def test_times_are_those_of_answers_and_not_of_failures():
    history = make_history()
    history.take(spent(status=503))
    history.take(spent(broken=True))
    history.step()
    (point,) = history.points()
    assert (point.requests_per_second, point.ttft_p95, point.itl_p50) == (0.2, None, None)


def test_a_request_without_a_model_is_none():
    history = make_history()
    history.take(Spent(NOBODY, "/metrics", "", 200, 1.0))
    history.step()
    assert history.points()[0].requests_per_second == 0


def test_fifteen_minutes_are_kept():
    history = make_history()
    for _ in range(KEPT + 5):
        history.step()
    assert len(history.points()) == KEPT


def test_who_listens_gets_each_new_point_until_it_leaves():
    history, found = make_history(), []
    leave = history.subscribe(found.append)
    history.step()
    leave()
    history.step()
    assert found == [history.points()[0]]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from((0.5, 0.95)))
def test_a_quantile_lies_within_its_values(values, share):
    found = quantile(values, share)
    assert found is not None
    assert min(values) * (1 - 1e-9) <= found <= max(values) * (1 + 1e-9)
