"""The feed: everybody gets everything, in one order, and a late subscriber the present state first."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.service.views import view
from tests.unit.supervisor.worlds import model
from vllama.observe.feed import MOST_AT_ONCE, Feed
from vllama.observe.news import EngineChanged, Listens, News, Notice, Preloaded, Ready, Reloading, Stopping

ENGINES = {(name, phase): view(name, phase) for name in ("mini", "other") for phase in ("starting", "ready", "absent")}
NEWS = st.one_of(
    st.sampled_from(sorted(ENGINES)).map(lambda which: EngineChanged(ENGINES[which])),
    st.builds(Notice, st.sampled_from(["config", "engine"]), st.sampled_from(["", "missing", "invalid"])),
    st.sampled_from(
        [Ready(), Reloading(), Stopping(1.0), Listens("::1", 1), Listens("::1", 2), Preloaded(model("mini"), None)]
    ),
)


def state_of(history: list[News]) -> dict[str, News]:
    """The latest news of each topic that is not over."""
    latest = {news.topic: news for news in history}
    return {topic: news for topic, news in latest.items() if not news.over}


@given(st.lists(st.one_of(st.none(), NEWS)))
def test_every_subscriber_gets_the_present_state_and_then_all_that_follows_in_order(steps: list[News | None]):
    """None: one more subscriber comes."""
    feed, history = Feed(), list[News]()
    seen: list[tuple[int, list[News]]] = []
    with ExitStack() as stack:
        for step in steps:
            if step is None:
                got: list[News] = []
                stack.enter_context(feed.subscribed(got.append))
                assert {news.topic: news for news in got} == state_of(history)
                assert got == [*feed.present()]
                got.clear()
                seen.append((len(history), got))
            else:
                feed.publish(step)
                history.append(step)
    assert all(got == history[since:] for since, got in seen)
    assert {news.topic: news for news in feed.present()} == state_of(history)
    assert len(feed.present()) <= 6  # two engines, two notices, one address, one state of the service


@given(st.lists(NEWS, min_size=1, max_size=20), st.data())
def test_what_a_subscriber_publishes_comes_after_what_it_answers_for_all_of_them(answers: list[News], data):
    """Whatever the answers, and wherever in the row the answering subscriber is."""
    feed = Feed()
    left = [*answers]
    before, after = list[News](), list[News]()

    def answer(_: News) -> None:
        for _ in range(data.draw(st.integers(0, 3))):
            if left:
                feed.publish(left.pop())

    with feed.subscribed(before.append, answer, after.append):
        while left:
            feed.publish(left.pop())
    assert before == after == answers[::-1]


def test_one_that_fails_keeps_the_news_from_nobody_and_is_logged(caplog):
    feed, got = Feed(), list[News]()

    def broken(_: News) -> None:
        raise KeyError("x")

    feed.publish(Listens("::1", 1))
    with feed.subscribed(broken, got.append):
        feed.publish(Ready())
    assert got == [Listens("::1", 1), Ready()]
    assert [record.getMessage() for record in caplog.records] == [
        "a subscriber failed at Listens",
        "a subscriber failed at Ready",
    ]


def test_one_that_has_left_gets_nothing_more():
    feed, got = Feed(), list[News]()
    with feed.subscribed(got.append):
        feed.publish(Ready())
    feed.publish(Reloading())
    assert got == [Ready()]


def test_one_that_comes_while_news_are_handed_out_gets_each_of_them_once():
    feed, late = Feed(), list[News]()
    with ExitStack() as stack:

        def welcome(news: News) -> None:
            if news == Ready():
                stack.enter_context(feed.subscribed(late.append))

        with feed.subscribed(welcome):
            feed.publish(Listens("::1", 1))
            feed.publish(Ready())
            feed.publish(Stopping(1.0))
    assert late == [Listens("::1", 1), Ready(), Stopping(1.0)]


def test_subscribers_that_answer_each_other_without_end_do_not_hang_the_service(caplog):
    feed, got = Feed(), list[News]()

    def answer(_: News) -> None:
        feed.publish(Ready())

    with feed.subscribed(answer, got.append):
        feed.publish(Ready())
    assert len(got) == MOST_AT_ONCE
    assert "without end" in caplog.text
    feed.publish(Reloading())
    assert feed.present() == (Reloading(),)
