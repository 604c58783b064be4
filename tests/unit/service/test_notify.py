from __future__ import annotations

import socket

from vllama.service.notify import Notifier, passed_sockets


def test_without_systemd_nothing_is_sent_and_nothing_breaks():
    notifier = Notifier({})
    notifier.ready()
    notifier.stopping(1.0)
    assert not notifier.supervised
    assert notifier.beat_every is None


def test_a_status_is_sent_once_and_in_any_language(systemd):
    notifier, read = systemd
    reported = notifier()
    for text in ("modèle 模型", "modèle 模型", "ready"):
        reported.status(text)
    assert read()[0] == "STATUS=modèle 模型"
    assert read()[0] == "STATUS=ready"


def test_a_reload_says_when_it_began(systemd):
    notifier, read = systemd
    notifier().reloading()
    first, second = read()[0].splitlines()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")


def test_the_listening_sockets_travel_into_the_store(systemd):
    notifier, read = systemd
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notifier().store([listener])
    assert read() == ("FDSTOREREMOVE=1\nFDNAME=http", 0)
    assert read() == ("FDSTORE=1\nFDNAME=http", 1)


def test_the_beat_comes_three_times_in_a_period():
    assert Notifier({"WATCHDOG_USEC": "30000000"}).beat_every == 10
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).beat_every is None


def test_sockets_for_another_process_are_not_ours():
    assert passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert passed_sockets({}) == []


def test_an_endless_time_extends_nothing(systemd):
    notifier, read = systemd
    reported = notifier()
    reported.extend(float("inf"))
    reported.extend(2.5)
    assert read()[0] == "EXTEND_TIMEOUT_USEC=2500000"
