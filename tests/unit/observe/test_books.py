"""What becomes of a request's measurements: who gets them, and how its end is named."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from vllama.observe.books import Books, Taker
from vllama.observe.metrics import Metrics
from vllama.observe.requests import KEPT
from vllama.observe.spent import Spent


def make_books(*takers: Taker) -> Books:
    return Books(Metrics(Mock()), *takers)


def test_a_request_is_live_from_the_model_that_it_reached_to_its_end():
    books = make_books()
    meter = books.meter("/api/chat", "one")
    assert books.requests.live() == []
    meter.model = "tiny:latest"
    assert books.requests.live() == [meter]
    meter.end(200)
    assert books.requests.live() == []
    assert [spent.request_id for spent in books.requests.last()] == ["one"]


def test_two_requests_of_one_id_are_two():
    books = make_books()
    for meter in (made := [books.meter("/api/chat", "same"), books.meter("/api/chat", "same")]):
        meter.model = "tiny:latest"
    made[0].end(200)
    assert books.requests.live() == [made[1]]


def test_the_last_ones_are_kept_newest_first_and_no_more():
    books = make_books()
    for number in range(KEPT + 3):
        meter = books.meter("/api/chat", str(number))
        meter.model = "tiny:latest"
        meter.end(200)
    found = [spent.request_id for spent in books.requests.last()]
    assert (found[0], found[-1], len(found)) == (str(KEPT + 2), "3", KEPT)


def test_a_taker_that_fails_keeps_nobody_from_counting(caplog):
    found: list[Spent] = []

    def fail(_: Spent) -> None:
        raise ZeroDivisionError

    make_books(fail, found.append).meter("/api/chat").end(200)
    assert len(found) == 1
    assert "could not be counted" in caplog.text


@pytest.mark.parametrize(
    ("status", "broken", "cancelled", "outcome"),
    [
        (200, False, False, "ok"),
        (404, False, False, "refused"),
        (499, False, False, "left"),
        (503, False, False, "failed"),
        (200, True, False, "failed"),
        (200, True, True, "cancelled"),
    ],
)
def test_an_end_has_one_name(status, broken, cancelled, outcome):
    found: list[Spent] = []
    meter = make_books(found.append).meter("/api/chat")
    meter.broken, meter.cancelled = broken, cancelled
    meter.end(status)
    assert found[0].outcome == outcome


def test_what_an_engine_worked_is_the_time_after_it_was_ready():
    found: list[Spent] = []
    books = make_books(found.append)
    meter = books.meter("/api/chat")
    meter.leased("engine")
    meter.usage(10, 1, 4)
    meter.usage(10, 1, None)
    meter.end(200)
    books.meter("/api/chat").end(503)
    worked, waited = found
    assert 0 < worked.engine_seconds <= worked.seconds
    assert (worked.prompt_tokens, worked.cached_tokens, worked.generated_tokens) == (20, 4, 2)
    assert (waited.engine_seconds, waited.waiting) == (0, None)
