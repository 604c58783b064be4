"""What systemd gets of the news."""

from __future__ import annotations

import re

from tests.unit.service.views import view
from vllama.observe.feed import Feed
from vllama.observe.news import EngineChanged, Listens, Notice, Ready, Reloading, Stopping
from vllama.service.status import Status, status_line


def test_the_status_names_each_model_that_is_being_loaded():
    views = [view(name, "starting", f"at {name}") for name in ("mini", "other")]
    assert status_line(views) == "loading mini: at mini; loading other: at other"


def test_the_status_line_leads_with_what_a_person_must_do_until_it_is_done(systemd):
    notifier, read = systemd
    feed = Feed()
    with feed.subscribed(Status(notifier(), feed, 600.0).take):
        feed.publish(EngineChanged(view("mini", "ready")))
        feed.publish(Notice("config", "the configuration is invalid"))
        feed.publish(Notice("config", ""))
        feed.publish(EngineChanged(view("mini", "absent")))
    assert [read()[0] for _ in range(4)] == [
        "STATUS=serving 1 model: mini",
        "STATUS=the configuration is invalid; serving 1 model: mini",
        "STATUS=serving 1 model: mini",
        "STATUS=ready, no model loaded",
    ]


def test_a_start_gets_more_time_while_an_engine_loads_and_none_once_it_is_done(systemd):
    notifier, read = systemd
    feed = Feed()
    with feed.subscribed(Status(notifier(), feed, 600.0).take):
        feed.publish(Listens("127.0.0.1", 11434))
        feed.publish(EngineChanged(view("mini", "starting", "one")))
        feed.publish(EngineChanged(view("mini", "ready")))
        feed.publish(Ready())
        feed.publish(EngineChanged(view("mini", "starting", "two")))
        feed.publish(Stopping(90.0))
    assert [read()[0] for _ in range(7)] == [
        "STATUS=loading mini: one",
        "EXTEND_TIMEOUT_USEC=660000000",
        "STATUS=serving 1 model: mini",
        "READY=1",
        "STATUS=loading mini: two",
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=90000000",
    ]


def test_a_start_without_a_limit_for_silence_asks_for_a_day(systemd):
    notifier, read = systemd
    feed = Feed()
    with feed.subscribed(Status(notifier(), feed, float("inf")).take):
        feed.publish(EngineChanged(view("mini", "planning")))
    assert read()[0].startswith("STATUS=")
    assert read()[0] == f"EXTEND_TIMEOUT_USEC={(24 * 3600 + 60) * 1_000_000}"


def test_a_reload_begins_and_ends_for_systemd_too(systemd):
    notifier, read = systemd
    feed = Feed()
    with feed.subscribed(Status(notifier(), feed, 600.0).take):
        feed.publish(Reloading())
        feed.publish(Ready())
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", read()[0])
    assert read()[0] == "READY=1"
